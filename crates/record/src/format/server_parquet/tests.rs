use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use super::*;
use crate::server::exposition::{Limits, Media, Page};
use crate::server::reading::Readings;
use crate::server::{FetchInstants, StoreLimits};

fn store(scrapes: u64, page: impl Fn(u64) -> String) -> Store {
    let mut store = Store::new(StoreLimits::default());
    let endpoint = store.endpoint("http://h/metrics");
    for scrape in 0..scrapes {
        let text = page(scrape);
        let page = Page::parse(text.as_bytes(), Media::Text, &Limits::default()).expect("a page");
        let at = WallNs(1_000 + scrape);
        let instants = FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 };
        store.add(endpoint, &instants, &Readings::of(&page));
    }
    store
}

fn read(store: &Store) -> SerializedFileReader<std::fs::File> {
    read_compressed(store, Compression::Snappy)
}

fn read_compressed(store: &Store, compression: Compression) -> SerializedFileReader<std::fs::File> {
    let file = tempfile::tempfile().expect("a temporary file");
    write(store, Window::Whole, &ParquetMetadata::default(), compression, &file).expect("written");
    SerializedFileReader::new(file).expect("a Parquet file")
}

#[test]
fn row_groups_are_bounded() {
    let store =
        store(101, |scrape| (0..300).map(|series| format!("g{{n=\"{series}\"}} {scrape}\n")).collect());
    let reader = read(&store);
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [10_000, 10_000, 10_000, 300]);
    let total: f64 = reader
        .get_row_iter(None)
        .expect("rows")
        .map(|row| row.expect("a row").get_double(7).expect("a value"))
        .sum();
    assert_eq!(total, 300.0 * (100.0 * 101.0 / 2.0));
}

#[test]
fn labels_that_bear_a_column_name_are_left_out() {
    let store = store(2, |_| "a{value=\"1\",le=\"2\",unit=\"3\"} 1\nb{other=\"x\"} 2\n".to_owned());
    let reader = read(&store);
    let schema = reader.metadata().file_metadata().schema();
    let labels: Vec<&str> = schema.get_fields()[6..8].iter().map(|field| field.name()).collect();
    assert_eq!((labels, schema.get_fields().len()), (vec!["le", "other"], 13));
    let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(rows[0].get_string(6).expect("a label"), "2");
    assert!(rows[0].get_string(7).is_err(), "absent labels are null");
    assert_eq!(rows[3].get_string(7).expect("a label"), "x");
}

#[test]
fn a_store_without_scrapes_gives_a_file_without_rows() {
    let reader = read(&store(0, |_| String::new()));
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn both_compressions_hold_the_same_rows() {
    let store =
        store(50, |scrape| (0..200).map(|series| format!("g{{n=\"{series}\"}} {scrape}\n")).collect());
    let [snappy, zstd] =
        [Compression::Snappy, Compression::Zstd].map(|compression| read_compressed(&store, compression));
    let codec = |file: &SerializedFileReader<_>| file.metadata().row_group(0).column(0).compression();
    assert_eq!(codec(&snappy), parquet::basic::Compression::SNAPPY);
    assert!(matches!(codec(&zstd), parquet::basic::Compression::ZSTD(_)));
    let rows = |file: &SerializedFileReader<std::fs::File>| {
        let rows = file.get_row_iter(None).expect("rows");
        rows.map(|row| row.expect("a row").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&snappy).len(), 10_000);
    assert_eq!(rows(&snappy), rows(&zstd));
}
