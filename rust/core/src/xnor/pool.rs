//! The maximum of bits is their or.

use super::conv::Images;
use crate::{Error, Parallel};

/// Bytes of the results of a task.
const TASK_BYTES: usize = 1 << 16;

/// Writes the maximum of each window: `out[n, y, x]` is that of `size` pixels from `(y * stride, x * stride)` on, `size` and
/// `stride` being pairs for rows and columns. Windows lie within the image.
///
/// # Errors
/// [`Error::KernelTooLarge`] if a window is larger than an image, [`Error::OutputLength`], [`Error::Interrupted`].
pub fn max_pool2d(
    images: Images<'_>,
    size: [usize; 2],
    stride: [usize; 2],
    out: &mut [u8],
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    let ([n, height, width], n_bytes) = (images.shape(), images.n_bytes());
    let [out_height, out_width] = out_shape([height, width], size, stride)?;
    let expected = [n, out_height, out_width, n_bytes].iter().fold(1_usize, |all, n| all.saturating_mul(*n));
    if out.len() != expected {
        return Err(Error::OutputLength { given: out.len(), expected });
    }
    if expected == 0 {
        return Ok(());
    }
    let parallel = parallel.for_words(expected.saturating_mul(size[0] * size[1]) / 8);
    let lines = (TASK_BYTES / (out_width * n_bytes)).max(1);
    let pixels = images.bytes();
    parallel.for_each_chunk(out, lines * out_width * n_bytes, |task, out| {
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
    })
}

/// Height and width of the results.
///
/// # Errors
/// [`Error::KernelTooLarge`] if a window is larger than an image, or empty.
pub fn out_shape(image: [usize; 2], size: [usize; 2], stride: [usize; 2]) -> Result<[usize; 2], Error> {
    let axis = |axis: usize, name| match image[axis].checked_sub(size[axis]) {
        Some(room) if size[axis] > 0 && stride[axis] > 0 => Ok(room / stride[axis] + 1),
        _ => Err(Error::KernelTooLarge { axis: name, kernel: size[axis], image: image[axis] }),
    };
    Ok([axis(0, "rows")?, axis(1, "columns")?])
}
