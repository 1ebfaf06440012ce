//! Images of a message: noise made here, or a file, as the URL that goes into the body.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rand_core::Rng;
use rand_chacha::ChaCha8Rng;

use super::{DatasetError, Image};

/// Sides of a synthetic image at most, in pixels: a larger one is a mistake of the flags.
const MAX_SIDE: u32 = 8_192;

/// A PNG of random pixels (8-bit RGB), which no server can compress or has seen before.
pub(super) fn noise(width: u32, height: u32, rng: &mut ChaCha8Rng) -> Image {
    let (width, height) = (width.min(MAX_SIDE), height.min(MAX_SIDE));
    let row = 1 + 3 * width as usize;
    let mut pixels = vec![0u8; row * height as usize];
    rng.fill_bytes(&mut pixels);
    // The first byte of a row is its filter; 0 is none.
    pixels.iter_mut().step_by(row).for_each(|filter| *filter = 0);
    data_url("image/png", &png(width, height, &pixels))
}

/// PNG (W3C, second edition): signature, IHDR, IDAT, IEND. Noise does not compress: it is stored.
fn png(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Depth 8, colour type 2 (RGB), deflate, adaptive filters, no interlace.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    chunk(&mut out, b"IHDR", &header);
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
    // Writing to a vector cannot fail.
    let data = encoder.write_all(rows).and_then(|()| encoder.finish()).unwrap_or_default();
    chunk(&mut out, b"IDAT", &data);
    chunk(&mut out, b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let from = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let mut crc = flate2::Crc::new();
    crc.update(&out[from..]);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}

fn data_url(media_type: &str, bytes: &[u8]) -> Image {
    let mut url = format!("data:{media_type};base64,");
    STANDARD.encode_string(bytes, &mut url);
    Image { url: Arc::from(url) }
}

/// An image of a dataset file: an http(s) or `data:` URL as it is, a path of a PNG, JPEG, GIF or WebP
/// file (relative to `base`) as a `data:` URL.
///
/// # Errors
/// The reason, without the place: the file is missing or no image of these kinds.
pub(super) fn from_entry(value: &str, base: &Path) -> Result<Image, String> {
    let lower = value.get(..8).unwrap_or(value).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("data:") {
        return Ok(Image { url: Arc::from(value) });
    }
    let path = base.join(value);
    let bytes = std::fs::read(&path).map_err(|e| format!("cannot read image `{}`: {e}", path.display()))?;
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return Err(format!("`{}` is neither PNG, JPEG, GIF nor WebP", path.display())),
    };
    Ok(data_url(media_type, &bytes))
}

/// All images of a directory, in the order of their names (`--image-source`).
///
/// # Errors
/// The directory cannot be read, holds no image, or holds a file that is none.
pub(super) fn gallery(directory: &Path) -> Result<Vec<Image>, DatasetError> {
    let images = super::file::files_of(directory)?
        .iter()
        .map(|path| {
            from_entry(&path.to_string_lossy(), Path::new("")).map_err(|why| DatasetError::file(path, why))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if images.is_empty() {
        return Err(DatasetError::file(directory, "holds no images for `--image-source`"));
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn decoded(image: &Image) -> Vec<u8> {
        STANDARD.decode(image.url.strip_prefix("data:image/png;base64,").expect("data URL")).expect("base64")
    }

    #[test]
    fn noise_is_a_png_of_the_asked_size() {
        let image = noise(17, 5, &mut Seed(1).stream("image"));
        let bytes = decoded(&image);
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&bytes[12..16], b"IHDR");
        assert_eq!((bytes[19], bytes[23]), (17, 5));
        // Chunk sums, computed over type and data, end every chunk.
        let mut at = 8;
        let mut kinds = Vec::new();
        while at < bytes.len() {
            let length = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[at + 4..at + 8 + length]);
            assert_eq!(bytes[at + 8 + length..at + 12 + length], crc.sum().to_be_bytes());
            kinds.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
            if kinds.last().is_some_and(|kind| kind == "IDAT") {
                let mut rows = Vec::new();
                let mut decoder = flate2::read::ZlibDecoder::new(&bytes[at + 8..at + 8 + length]);
                std::io::Read::read_to_end(&mut decoder, &mut rows).expect("zlib");
                assert_eq!(rows.len(), 5 * (1 + 17 * 3));
                assert!(rows.chunks(52).all(|row| row[0] == 0));
            }
            at += 12 + length;
        }
        assert_eq!(kinds, ["IHDR", "IDAT", "IEND"]);
    }

    #[test]
    fn noise_follows_the_stream() {
        let first = noise(4, 4, &mut Seed(1).stream("image"));
        assert_eq!(first, noise(4, 4, &mut Seed(1).stream("image")));
        assert_ne!(first, noise(4, 4, &mut Seed(2).stream("image")));
    }

    #[test]
    fn files_become_data_urls_and_urls_stay() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join("a.jpg"), [0xff, 0xd8, 0xff, 0xe0]).expect("write");
        std::fs::write(dir.path().join("b.txt"), "text").expect("write");
        let url = |value: &str| from_entry(value, dir.path()).map(|image| image.url.to_string());
        assert_eq!(url("a.jpg").expect("a JPEG"), "data:image/jpeg;base64,/9j/4A==");
        assert_eq!(url("https://host/x.png").expect("a URL"), "https://host/x.png");
        assert!(url("b.txt").expect_err("no image").contains("neither PNG"));
        assert!(url("missing.png").expect_err("no file").contains("missing.png"));
    }
}
