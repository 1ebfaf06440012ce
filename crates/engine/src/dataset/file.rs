//! Reading dataset files: plain, gzip or zstd, line by line, with the place of every mistake.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::config::{DatasetConfig, DatasetFormat};
use super::error::DatasetError;
use super::prefix::Prefixes;
use super::prompt::PromptWriter;
use super::{Source, bodies, infer, messages, pool, sharegpt, trace};
use crate::seed::Seed;
use crate::tokenizer::Tokenizer;

/// A file, loaded and checked.
pub(super) struct Loaded {
    pub(super) source: Box<dyn Source>,
    pub(super) format: DatasetFormat,
}

/// What loaders need beside the path.
pub(super) struct LoadContext<'a> {
    pub(super) config: &'a DatasetConfig,
    pub(super) seed: Seed,
    pub(super) writer: PromptWriter,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) prefixes: &'a Prefixes,
}

pub(super) fn load(
    path: &Path,
    config: &DatasetConfig,
    seed: Seed,
    writer: PromptWriter,
    tokenizer: &Tokenizer,
    prefixes: &Prefixes,
) -> Result<Loaded, DatasetError> {
    let format = match config.custom_dataset_type {
        Some(format) => format,
        None => infer::format_of(path)?,
    };
    let context = LoadContext { config, seed, writer, tokenizer, prefixes };
    let source: Box<dyn Source> = match format {
        DatasetFormat::SingleTurn => Box::new(messages::single_turn(path, &context)?),
        DatasetFormat::MultiTurn => Box::new(messages::multi_turn(path, &context)?),
        DatasetFormat::RandomPool => Box::new(pool::RandomPool::load(path, &context)?),
        DatasetFormat::Sharegpt => Box::new(sharegpt::load(path, &context)?),
        DatasetFormat::MooncakeTrace => Box::new(trace::mooncake::load(path, &context)?),
        DatasetFormat::BailianTrace => Box::new(trace::bailian::load(path, &context)?),
        DatasetFormat::BurstGptTrace => Box::new(trace::rows::burst_gpt(path, &context)?),
        DatasetFormat::AzureTrace => Box::new(trace::rows::azure(path, &context)?),
        DatasetFormat::InputsJson => Box::new(bodies::inputs_json(path)?),
        DatasetFormat::RawPayload => Box::new(bodies::raw_payload(path)?),
    };
    if source.entries() == Some(0) {
        return Err(DatasetError::file(path, "holds no entries"));
    }
    Ok(Loaded { source, format })
}

/// Opens a file, decompressing gzip and zstd by their first bytes, whatever the name says.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, DatasetError> {
    let wrong = |source| DatasetError::read(path, source);
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(wrong)?);
    let head = file.fill_buf().map_err(wrong)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(file))));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(wrong)?;
        return Ok(Box::new(BufReader::with_capacity(1 << 18, decoder)));
    }
    Ok(Box::new(file))
}

/// The whole file as text.
pub(super) fn read_text(path: &Path) -> Result<String, DatasetError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|source| DatasetError::read(path, source))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        DatasetError::line(path, line as u64, "is not UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Calls `each` with number and text of every line that is not blank.
pub(super) fn for_each_line(
    path: &Path,
    mut each: impl FnMut(u64, &str) -> Result<(), String>,
) -> Result<(), DatasetError> {
    let mut reader = open(path)?;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(|source| DatasetError::read(path, source))? == 0 {
            break;
        }
        let line =
            std::str::from_utf8(&bytes).map_err(|_| DatasetError::line(path, number, "is not UTF-8"))?;
        let line = if number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if !line.trim().is_empty() {
            each(number, line.trim()).map_err(|reason| DatasetError::line(path, number, reason))?;
        }
    }
    Ok(())
}

/// Calls `each` with the JSON value of every line.
pub(super) fn for_each_record<T: DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(u64, T) -> Result<(), String>,
) -> Result<(), DatasetError> {
    for_each_line(path, |number, line| each(number, parse(line)?))
}

/// Parses JSON; the message has no line of its own, for the line is the file's.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        if error.is_data() {
            what.to_owned()
        } else {
            format!("is not valid JSON: {what} (column {})", error.column())
        }
    })
}

/// Files of a directory in the order of their names, hidden ones left out.
pub(super) fn files_of(directory: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let wrong = |source| DatasetError::read(directory, source);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The directory that relative paths inside a dataset file refer to.
pub(super) fn base_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
