//! Flags that bound what a metrics page may hold, shared by `profile` and `scrape`.

use clap::Args;
use tokmeter_engine::server_metrics::{MAX_PAGE_BYTES, ServerMetricsConfig};
use tokmeter_record::server::StoreLimits;
use tokmeter_record::server::exposition::Limits;

/// How much is read of metrics pages, which come from a server that is not trusted.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server metrics")]
pub struct PageLimitArgs {
    /// Largest metrics page read, in MiB; a larger one is a failed scrape
    #[arg(long, value_name = "MIB", default_value_t = MAX_PAGE_BYTES >> 20)]
    pub max_page_mib: usize,
    /// Metric families read of a page; further ones are left out
    #[arg(long, value_name = "N", default_value_t = Limits::default().families)]
    pub max_page_families: usize,
    /// Samples read of a page; further ones are left out
    #[arg(long, value_name = "N", default_value_t = Limits::default().samples)]
    pub max_page_samples: usize,
    /// Labels of a sample; one with more is left out
    #[arg(long, value_name = "N", default_value_t = Limits::default().labels)]
    pub max_page_labels: usize,
    /// Longest line of a page, in KiB; a longer one is left out
    #[arg(long, value_name = "KIB", default_value_t = Limits::default().line_bytes >> 10)]
    pub max_page_line_kib: usize,
    /// Series kept, of all pages together; further ones are left out
    #[arg(long, value_name = "N", default_value_t = StoreLimits::default().series)]
    pub max_series: usize,
    /// Memory for scraped values, in MiB; when it is full, every second scrape is forgotten
    #[arg(long, value_name = "MIB", default_value_t = StoreLimits::default().bytes >> 20)]
    pub max_series_mib: usize,
}

impl PageLimitArgs {
    /// The page limits.
    pub fn page(&self) -> Limits {
        Limits {
            families: self.max_page_families,
            samples: self.max_page_samples,
            labels: self.max_page_labels,
            line_bytes: self.max_page_line_kib.saturating_mul(1 << 10),
            ..Limits::default()
        }
    }

    /// Bytes of the largest page.
    pub fn page_bytes(&self) -> usize {
        self.max_page_mib.saturating_mul(1 << 20)
    }

    /// A collector's configuration with these limits and nothing to read yet.
    pub fn collector(&self) -> ServerMetricsConfig {
        ServerMetricsConfig {
            limits: self.page(),
            store: StoreLimits {
                series: self.max_series,
                bytes: self.max_series_mib.saturating_mul(1 << 20),
            },
            ..ServerMetricsConfig::default()
        }
    }
}
