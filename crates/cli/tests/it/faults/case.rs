//! What a row of the fault matrix is made of.

use std::net::TcpStream;

use tokmeter_sim::MetricsMode;

/// A way to load a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A fixed number in flight, streams, HTTP/1.1.
    Closed,
    /// Arrivals by a schedule, streams, HTTP/1.1.
    Open,
    /// Conversations, streams, HTTP/1.1.
    Turns,
    /// A fixed number in flight, whole answers, HTTP/1.1.
    Whole,
    /// A fixed number in flight, streams, HTTP/2.
    Two,
}

impl Mode {
    /// The name in the page.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Closed => "closed",
            Mode::Open => "open",
            Mode::Turns => "turns",
            Mode::Whole => "whole",
            Mode::Two => "h2",
        }
    }

    /// The flags that make it.
    pub fn flags(self) -> &'static [&'static str] {
        const SESSIONS: [&str; 7] = [
            "--streaming",
            "--http-version=1.1",
            "--concurrency=2",
            "--conversation-num=4",
            "--conversation-turn-mean=3",
            "--conversation-turn-stddev=0",
            "--osl=6",
        ];
        match self {
            Mode::Closed => {
                &["--streaming", "--http-version=1.1", "--concurrency=4", "--request-count=12", "--osl=6"]
            }
            Mode::Open => {
                &["--streaming", "--http-version=1.1", "--request-rate=100", "--request-count=12", "--osl=6"]
            }
            Mode::Turns => &SESSIONS,
            Mode::Whole => &["--http-version=1.1", "--concurrency=4", "--request-count=12", "--osl=6"],
            Mode::Two => {
                &["--streaming", "--http-version=2", "--concurrency=3", "--request-count=12", "--osl=6"]
            }
        }
    }
}

/// All modes.
pub const ALL: &[Mode] = &[Mode::Closed, Mode::Open, Mode::Turns, Mode::Whole, Mode::Two];
/// HTTP/1.1 only: the fault lies in its framing or in the connection.
pub const ONE: &[Mode] = &[Mode::Closed, Mode::Open, Mode::Turns, Mode::Whole];
/// Streams only: the fault lies in the stream.
pub const STREAMS: &[Mode] = &[Mode::Closed, Mode::Open, Mode::Turns, Mode::Two];
/// Streams over HTTP/1.1.
pub const STREAMS_ONE: &[Mode] = &[Mode::Closed, Mode::Open, Mode::Turns];
/// HTTP/2 only.
pub const TWO: &[Mode] = &[Mode::Two];

/// What the record of a request says that met the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It succeeded: the fault is harmless.
    Answered,
    /// It failed with this class, side and phase.
    Fails(&'static str, &'static str, &'static str),
}

/// Who does wrong.
#[derive(Clone, Copy)]
pub enum Server {
    /// The simulated server, with this fault on every third request.
    Sim(&'static str),
    /// A server of a few lines that treats every request like this.
    Raw(fn(&mut TcpStream) -> Then),
    /// A server that does this with every connection, before any request is read.
    Greeting(fn(&mut TcpStream) -> Then),
    /// Nobody: the URL leads nowhere.
    Nobody(&'static str),
    /// The simulated server, whose metrics page turns into this after one read.
    Metrics(MetricsMode),
}

/// What a raw server does with its connection next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Reads the next request.
    Keep,
    /// Closes with a FIN.
    Close,
    /// Keeps it open until the client is gone.
    Hold,
}

/// One row: a fault, where it applies and what has to come of it.
#[derive(Clone, Copy)]
pub struct Case {
    /// The fault in words.
    pub fault: &'static str,
    /// Who does it.
    pub server: Server,
    /// Modes in which it is played.
    pub modes: &'static [Mode],
    /// What the records say.
    pub expect: Expect,
    /// Modes whose records say something else.
    pub otherwise: &'static [(Mode, Expect)],
    /// More flags.
    pub flags: &'static [&'static str],
    /// The fault also ends other requests of its connection.
    pub shared: &'static [Mode],
    /// Exit code.
    pub exit: i32,
    /// Words that stderr must hold.
    pub says: &'static str,
}

impl Case {
    /// A fault of the simulated server, on some requests: the run itself is fine.
    pub const fn sim(fault: &'static str, script: &'static str, expect: Expect) -> Case {
        Case {
            fault,
            server: Server::Sim(script),
            modes: ALL,
            expect,
            otherwise: &[],
            flags: &[],
            shared: &[],
            exit: 0,
            says: "",
        }
    }

    /// A fault of every request, played by `server`.
    pub const fn of(fault: &'static str, server: Server, expect: Expect) -> Case {
        let (exit, says) = match expect {
            Expect::Answered => (0, ""),
            Expect::Fails(..) => (4, "no request succeeded"),
        };
        Case { server, exit, says, ..Case::sim(fault, "", expect) }
    }

    /// In these modes only.
    pub const fn modes(mut self, modes: &'static [Mode]) -> Case {
        self.modes = modes;
        self
    }

    /// Other outcomes in some modes.
    pub const fn otherwise(mut self, otherwise: &'static [(Mode, Expect)]) -> Case {
        self.otherwise = otherwise;
        self
    }

    /// With more flags.
    pub const fn flags(mut self, flags: &'static [&'static str]) -> Case {
        self.flags = flags;
        self
    }

    /// In these modes neighbours on the same connection fail with it.
    pub const fn shared(mut self, modes: &'static [Mode]) -> Case {
        self.shared = modes;
        self
    }

    /// With this exit code and these words.
    pub const fn ends(mut self, exit: i32, says: &'static str) -> Case {
        self.exit = exit;
        self.says = says;
        self
    }

    /// What a record says in a mode.
    pub fn expected(&self, mode: Mode) -> Expect {
        self.otherwise.iter().find(|(other, _)| *other == mode).map_or(self.expect, |(_, expect)| *expect)
    }
}
