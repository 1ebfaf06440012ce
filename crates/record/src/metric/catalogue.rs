//! Every metric with tag, header, unit, kind, order, console group, conditions, formula and source.

/// How a metric comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value for each request; summarised as a distribution.
    Record,
    /// One running value of the whole run.
    Aggregate,
    /// Computed at the end from other metrics.
    Derived,
    /// Time-weighted over the run (sweep line).
    TimeWeighted,
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct MetricDef {
    /// Name in every file.
    pub tag: &'static str,
    /// Name on the console and in the CSV.
    pub header: &'static str,
    /// Short name for narrow tables.
    pub short: &'static str,
    /// Unit in every file.
    pub unit: &'static str,
    /// How it comes to be.
    pub kind: Kind,
    /// What it means, with formula and source.
    pub doc: &'static str,
}

/// A metric of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(pub(crate) u16);

impl MetricId {
    /// Its row.
    pub fn def(self) -> &'static MetricDef {
        &CATALOGUE[self.0 as usize]
    }

    /// The metric with this tag.
    pub fn from_tag(tag: &str) -> Option<MetricId> {
        CATALOGUE.iter().position(|def| def.tag == tag).map(|index| MetricId(index as u16))
    }
}

/// All metrics, in the order of their ids.
pub static CATALOGUE: &[MetricDef] = &[];
