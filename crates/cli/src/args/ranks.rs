//! Flags of a run that several machines share.

use std::str::FromStr;

use clap::Args;
use tokmeter_record::WallNs;
use tokmeter_record::format::parse_instant;

/// One run on many machines.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Many machines")]
pub struct RankArgs {
    /// Run part I of N of the load, counted from 0; `auto` asks Open MPI, PMI, Slurm or Kubernetes which part. Needs
    /// --random-seed; `tokmeter merge` joins the parts
    #[arg(long, value_name = "I/N|auto")]
    pub shard: Option<Shard>,
    /// When the measured load begins, the same on all machines: RFC 3339 (2026-11-23T09:00:00Z) or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub start_at: Option<WallNs>,
}

/// Value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// As the engine that started the process says.
    Auto,
    /// This part of so many.
    Part {
        /// From 0.
        rank: u32,
        /// Of how many.
        ranks: u32,
    },
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Shard::Auto);
        }
        let (rank, ranks) = text.split_once('/').ok_or("expected `auto` or a part like 0/4")?;
        let (Ok(rank), Ok(ranks)) = (rank.parse(), ranks.parse()) else {
            return Err("expected `auto` or a part like 0/4");
        };
        if rank >= ranks {
            return Err("parts count from 0: the last of four is 3/4");
        }
        Ok(Shard::Part { rank, ranks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_from_zero() {
        assert_eq!("0/1".parse(), Ok(Shard::Part { rank: 0, ranks: 1 }));
        assert_eq!("3/4".parse(), Ok(Shard::Part { rank: 3, ranks: 4 }));
        assert_eq!("auto".parse(), Ok(Shard::Auto));
        for text in ["4/4", "0/0", "1", "a/b", "-1/2", "1/2/3", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
