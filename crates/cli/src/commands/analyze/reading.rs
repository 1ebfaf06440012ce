//! Inputs in blocks of whole lines, analyzed by as many threads as there are cores.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use tokmeter_record::analysis::source::{self, Block, Blocks, Piece};
use tokmeter_record::analysis::{Analysis, MAX_LINE_BYTES, Options};

use super::Input;
use crate::exit::Failure;

/// Bytes of one block: large enough that handing it over costs nothing, small enough that a few of them in flight
/// are nothing.
const BLOCK_BYTES: usize = 1 << 20;

struct Work {
    source: Arc<str>,
    block: Block,
}

/// Analyzes all inputs as one.
///
/// # Errors
/// An input that cannot be opened. One that breaks off while it is read is a bad line of the report.
pub(super) fn analyze(inputs: &[Input], options: Options) -> Result<Analysis, Failure> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let shared = options.shared_by(threads);
    let mut whole = Analysis::new(Options { exact_records: 0, exact_chunks: 0, ..options });
    thread::scope(|scope| {
        let (work, todo) = crossbeam_channel::bounded::<Work>(threads);
        let (used, empty) = crossbeam_channel::bounded::<Vec<u8>>(2 * threads + 2);
        let readers: Vec<_> = (0..threads)
            .map(|_| {
                let (todo, used, options) = (todo.clone(), used.clone(), shared.clone());
                scope.spawn(move || analyze_blocks(&todo, &used, options))
            })
            .collect();
        drop((todo, used));
        let outcome = inputs.iter().try_for_each(|input| read(input, &mut whole, &work, &empty));
        drop(work);
        for reader in readers {
            match reader.join() {
                Ok(part) => whole.merge(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome
    })?;
    Ok(whole)
}

fn analyze_blocks(todo: &Receiver<Work>, used: &Sender<Vec<u8>>, options: Options) -> Analysis {
    let mut analysis = Analysis::new(options);
    for Work { source, block } in todo {
        analysis.block(&source, block.first_line, &block.bytes);
        // A full channel only means that this buffer is not needed again.
        let _ = used.try_send(block.bytes);
    }
    analysis
}

fn read(
    input: &Input,
    whole: &mut Analysis,
    work: &Sender<Work>,
    empty: &Receiver<Vec<u8>>,
) -> Result<(), Failure> {
    let name: Arc<str> = input.name().into();
    whole.source(&name);
    let reader: Box<dyn Read + Send> = match input {
        Input::Stdin => source::decompressed(Box::new(io::stdin()))
            .map_err(|error| Failure::usage(format!("standard input: {error}")))?,
        Input::File(path) => source::open(path).map_err(|error| Failure::usage(error.to_string()))?,
    };
    let mut blocks = Blocks::new(reader, BLOCK_BYTES, MAX_LINE_BYTES);
    loop {
        let buffer = empty.try_recv().unwrap_or_default();
        match blocks.next_piece(buffer) {
            Ok(Some(Piece::Lines(block))) => {
                if work.send(Work { source: Arc::clone(&name), block }).is_err() {
                    // Every reader panicked; joining them tells why.
                    return Ok(());
                }
            }
            Ok(Some(Piece::TooLong { line })) => {
                whole.bad_line(&name, line, format!("longer than {} MB", MAX_LINE_BYTES >> 20));
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                whole.bad_line(&name, blocks.next_line(), format!("reading stopped here: {error}"));
                return Ok(());
            }
        }
    }
}
