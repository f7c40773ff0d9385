//! Max pooling of packed images: the maximum of bits is their bitwise or.

use super::conv::Images;
use crate::error::check_len;
use crate::{Error, Run};

/// Bytes that a task reads, rounded to lines of results: so that an interrupted call ends soon.
const BYTES_PER_TASK: usize = 1 << 20;

/// Writes the maximum of each window: `out[n, y, x]` is that of the `size` pixels from `(y * stride, x * stride)` on. `size`
/// and `stride` are pairs for rows and columns. Windows lie within the image.
///
/// # Errors
/// [`Error::Incompatible`] if a window is larger than an image, [`Error::Length`] for an output of another length,
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn max_pool2d(
    images: Images<'_>,
    size: [usize; 2],
    stride: [usize; 2],
    out: &mut [u8],
    run: &Run<'_>,
) -> Result<(), Error> {
    let ([n, height, width], n_bytes) = (images.shape(), images.n_bytes());
    let [out_height, out_width] = out_shape([height, width], size, stride)?;
    let expected = [n, out_height, out_width, n_bytes].iter().fold(1_usize, |all, n| all.saturating_mul(*n));
    check_len("out", "elements", out.len(), expected)?;
    if expected == 0 {
        return Ok(());
    }
    let run = run.for_words(expected.saturating_mul(size[0] * size[1]) / 8);
    let lines = (BYTES_PER_TASK / (out_width * n_bytes * size[0] * size[1])).max(1);
    let pixels = images.bytes();
    run.for_each_chunk(out, lines * out_width * n_bytes, |task, out| {
        for (line, out) in out.chunks_exact_mut(out_width * n_bytes).enumerate() {
            let (image, y) = ((task * lines + line) / out_height, (task * lines + line) % out_height);
            for (x, out) in out.chunks_exact_mut(n_bytes).enumerate() {
                out.fill(0);
                for row in 0..size[0] {
                    let first = ((image * height + y * stride[0] + row) * width + x * stride[1]) * n_bytes;
                    for pixel in pixels[first..first + size[1] * n_bytes].chunks_exact(n_bytes) {
                        out.iter_mut().zip(pixel).for_each(|(out, byte)| *out |= byte);
                    }
                }
            }
        }
        Ok(())
    })
}

/// Height and width of the results.
///
/// # Errors
/// [`Error::Incompatible`] if a window is larger than an image, or empty.
pub fn out_shape(image: [usize; 2], size: [usize; 2], stride: [usize; 2]) -> Result<[usize; 2], Error> {
    let axis = |axis: usize, name| match image[axis].checked_sub(size[axis]) {
        Some(room) if size[axis] > 0 && stride[axis] > 0 => Ok(room / stride[axis] + 1),
        _ => Err(Error::Incompatible {
            problem: format!(
                "size covers {} {name}, but images have {}; expected from 1 to that",
                size[axis], image[axis]
            ),
        }),
    };
    Ok([axis(0, "rows")?, axis(1, "columns")?])
}
