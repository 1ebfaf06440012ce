//! One self-contained HTML page about one or several runs, opened from disk without a network.
//!
//! A run is gathered in one pass with bounded memory ([`Run::read`]); [`write_page`] writes the page. Charts are
//! drawn in the browser from columns embedded in it, so that filters apply to all of them. Nothing from a run is
//! ever markup: the data is JSON with `<`, `>` and `&` escaped, and a content security policy by hash admits the
//! page's own scripts alone.
//!
//! ```no_run
//! use tokmeter_record::report::{Limits, Run, write_page};
//!
//! let run = Run::read("artifacts/my-run".as_ref(), &Limits::default())?;
//! write_page(&[run], &mut std::fs::File::create("report.html")?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod columns;
mod embed;
mod gather;
mod page;
mod rows;
mod server;
mod summary;

pub use gather::{Limits, ReportError, Run};
pub use page::write_page;
