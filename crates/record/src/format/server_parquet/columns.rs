//! Rows in, row groups out: the columns of one row group are collected and then written.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{self, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::Compression;

/// Rows of a full row group.
pub(super) const ROWS: usize = 10_000;

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Text(ByteArray),
    Long(i64),
    Double(f64),
}

/// The values of one column of the row group at hand.
enum Column {
    Text(Values<ByteArrayType>),
    Long(Values<Int64Type>),
    Double(Values<DoubleType>),
}

/// Present values, and for each row whether it has one.
struct Values<T: DataType> {
    values: Vec<T::T>,
    defined: Vec<i16>,
}

impl<T: DataType> Values<T> {
    fn new() -> Self {
        Values { values: Vec::new(), defined: Vec::new() }
    }

    fn push(&mut self, value: Option<T::T>) {
        self.defined.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let mut writer =
            group.next_column()?.ok_or_else(|| ParquetError::General("no such column".to_owned()))?;
        writer.typed::<T>().write_batch(&self.values, Some(&self.defined), None)?;
        self.values.clear();
        self.defined.clear();
        writer.close()
    }
}

/// A Parquet file being written.
pub(super) struct Columns<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
}

impl<W: Write + Send> Columns<W> {
    /// Starts a file with the columns before the labels, the labels, and the columns after them. Columns are text,
    /// but for `timestamp_ns` (integer) and the numbers after the labels.
    pub(super) fn create(
        output: W,
        [leading, trailing]: [&[&str]; 2],
        labels: &[Arc<str>],
        metadata: Vec<KeyValue>,
        compression: Compression,
    ) -> Result<Self, ParquetError> {
        let names =
            leading.iter().copied().chain(labels.iter().map(|l| &**l)).chain(trailing.iter().copied());
        let trailing_from = leading.len() + labels.len();
        let mut columns = Vec::new();
        let mut fields: Vec<TypePtr> = Vec::new();
        for (index, name) in names.enumerate() {
            let number = index >= trailing_from && name != "bucket_le";
            let (column, physical) = match name {
                "timestamp_ns" => (Column::Long(Values::new()), PhysicalType::INT64),
                _ if number => (Column::Double(Values::new()), PhysicalType::DOUBLE),
                _ => (Column::Text(Values::new()), PhysicalType::BYTE_ARRAY),
            };
            let mut field =
                Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            if physical == PhysicalType::BYTE_ARRAY {
                field = field
                    .with_logical_type(Some(LogicalType::String))
                    .with_converted_type(ConvertedType::UTF8);
            }
            fields.push(Arc::new(field.build()?));
            columns.push(column);
        }
        let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);
        let properties = WriterProperties::builder()
            .set_compression(match compression {
                Compression::Snappy => basic::Compression::SNAPPY,
                Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
            })
            .set_key_value_metadata(Some(metadata))
            .set_created_by(format!("tokmeter {}", env!("CARGO_PKG_VERSION")))
            .build();
        let file = SerializedFileWriter::new(output, schema, Arc::new(properties))?;
        Ok(Columns { file, columns, rows: 0 })
    }

    /// Adds a row. A cell of another type than its column is null.
    pub(super) fn push(&mut self, row: &[Cell]) -> Result<(), ParquetError> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            match (column, cell) {
                (Column::Text(values), Cell::Text(text)) => values.push(Some(text.clone())),
                (Column::Long(values), Cell::Long(number)) => values.push(Some(*number)),
                (Column::Double(values), Cell::Double(number)) => values.push(Some(*number)),
                (Column::Text(values), _) => values.push(None),
                (Column::Long(values), _) => values.push(None),
                (Column::Double(values), _) => values.push(None),
            }
        }
        self.rows += 1;
        if self.rows == ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            match column {
                Column::Text(values) => values.write(&mut group)?,
                Column::Long(values) => values.write(&mut group)?,
                Column::Double(values) => values.write(&mut group)?,
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self) -> Result<(), ParquetError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.close()?;
        Ok(())
    }
}
