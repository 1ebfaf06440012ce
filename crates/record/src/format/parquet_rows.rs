//! Rows in, row groups out: the columns of one row group are collected and then written.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{self, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

/// How the pages of the file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Fast to write, read everywhere.
    #[default]
    Snappy,
    /// Smaller.
    Zstd,
}

/// Rows of a full row group.
pub(super) const ROWS: usize = 10_000;

/// A row group with this many bytes of text and lists is full whatever its rows.
const BYTES: usize = 32 << 20;

/// What a column holds. Every column may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Long,
    Double,
    Bool,
    /// A list of doubles.
    Doubles,
}

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Text(ByteArray),
    Long(i64),
    Double(f64),
    Bool(bool),
    Doubles(Vec<f64>),
}

/// The values of one column of the row group at hand.
enum Column {
    Text(Values<ByteArrayType>),
    Long(Values<Int64Type>),
    Double(Values<DoubleType>),
    Bool(Values<BoolType>),
    Doubles(Values<DoubleType>),
}

/// Present values, and for each place how much of its path is present.
struct Values<T: DataType> {
    values: Vec<T::T>,
    defined: Vec<i16>,
    /// For lists: 0 where a row begins.
    repeated: Option<Vec<i16>>,
}

impl<T: DataType> Values<T> {
    fn new() -> Self {
        Values { values: Vec::new(), defined: Vec::new(), repeated: None }
    }

    fn of_lists() -> Self {
        Values { repeated: Some(Vec::new()), ..Values::new() }
    }

    fn push(&mut self, value: Option<T::T>) {
        self.defined.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// A null, an empty list (level 1) or the elements of one (level 2).
    fn push_list(&mut self, list: Option<&[T::T]>) {
        let repeated = self.repeated.get_or_insert_default();
        match list {
            None | Some([]) => {
                self.defined.push(i16::from(list.is_some()));
                repeated.push(0);
            }
            Some(values) => {
                self.defined.extend(values.iter().map(|_| 2));
                repeated.extend((0..values.len()).map(|index| i16::from(index > 0)));
                self.values.extend_from_slice(values);
            }
        }
    }

    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let mut writer =
            group.next_column()?.ok_or_else(|| ParquetError::General("no such column".to_owned()))?;
        writer.typed::<T>().write_batch(&self.values, Some(&self.defined), self.repeated.as_deref())?;
        self.values.clear();
        self.defined.clear();
        self.repeated.iter_mut().for_each(Vec::clear);
        writer.close()
    }
}

/// A Parquet file being written.
pub(super) struct Rows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Rows<W> {
    /// Starts a file with these columns.
    pub(super) fn create<'n>(
        output: W,
        schema: impl IntoIterator<Item = (&'n str, Kind)>,
        metadata: Vec<KeyValue>,
        compression: Compression,
    ) -> Result<Self, ParquetError> {
        let mut columns = Vec::new();
        let mut fields: Vec<TypePtr> = Vec::new();
        for (name, kind) in schema {
            fields.push(Arc::new(field(name, kind)?));
            columns.push(match kind {
                Kind::Text => Column::Text(Values::new()),
                Kind::Long => Column::Long(Values::new()),
                Kind::Double => Column::Double(Values::new()),
                Kind::Bool => Column::Bool(Values::new()),
                Kind::Doubles => Column::Doubles(Values::of_lists()),
            });
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
        Ok(Rows { file, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row. A cell of another type than its column is null.
    pub(super) fn push(&mut self, row: &[Cell]) -> Result<(), ParquetError> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            self.bytes += match cell {
                Cell::Text(text) => text.len(),
                Cell::Doubles(list) => 8 * list.len(),
                _ => 0,
            };
            match (column, cell) {
                (Column::Text(values), Cell::Text(text)) => values.push(Some(text.clone())),
                (Column::Long(values), Cell::Long(number)) => values.push(Some(*number)),
                (Column::Double(values), Cell::Double(number)) => values.push(Some(*number)),
                (Column::Bool(values), Cell::Bool(holds)) => values.push(Some(*holds)),
                (Column::Doubles(values), Cell::Doubles(list)) => values.push_list(Some(list)),
                (Column::Text(values), _) => values.push(None),
                (Column::Long(values), _) => values.push(None),
                (Column::Double(values), _) => values.push(None),
                (Column::Bool(values), _) => values.push(None),
                (Column::Doubles(values), _) => values.push_list(None),
            }
        }
        self.rows += 1;
        if self.rows == ROWS || self.bytes >= BYTES { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            match column {
                Column::Text(values) => values.write(&mut group)?,
                Column::Long(values) => values.write(&mut group)?,
                Column::Double(values) | Column::Doubles(values) => values.write(&mut group)?,
                Column::Bool(values) => values.write(&mut group)?,
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self) -> Result<W, ParquetError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.into_inner()
    }
}

fn field(name: &str, kind: Kind) -> Result<Type, ParquetError> {
    let optional =
        |name, physical| Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    match kind {
        Kind::Text => optional(name, PhysicalType::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8)
            .build(),
        Kind::Long => optional(name, PhysicalType::INT64).build(),
        Kind::Double => optional(name, PhysicalType::DOUBLE).build(),
        Kind::Bool => optional(name, PhysicalType::BOOLEAN).build(),
        Kind::Doubles => {
            let element = Type::primitive_type_builder("element", PhysicalType::DOUBLE)
                .with_repetition(Repetition::REQUIRED)
                .build()?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .with_fields(vec![Arc::new(list)])
                .build()
        }
    }
}
