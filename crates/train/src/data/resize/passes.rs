//! The two passes of resizing, over rows of RGB pixels. What vector instructions compute is the same to
//! the bit: all of it is integers.

use super::{PRECISION, Taps};

/// One half: sums are rounded, not cut.
const HALF: i32 = 1 << (PRECISION - 1);
/// Bytes of a row that are summed together.
const TOGETHER: usize = 32;

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Makes rows of `width` pixels as long as `taps` says.
pub(super) fn narrow(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor has just said that it can")]
        return unsafe { avx2::narrow(from, width, taps, to) };
    }
    narrow_rows(from, width, taps, to);
}

/// Makes as many rows of `width` pixels as `taps` says.
pub(super) fn flatten(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor has just said that it can")]
        return unsafe { avx2::flatten(from, width, taps, to) };
    }
    flatten_rows(from, width, taps, to);
}

fn narrow_rows(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
    let rows = from.chunks_exact(3 * width).zip(to.chunks_exact_mut(3 * taps.first.len()));
    for (from, to) in rows {
        for ((first, weights), to) in taps.iter().zip(to.chunks_exact_mut(3)) {
            let mut sums = [HALF; 3];
            for (pixel, weight) in from[3 * first..].chunks_exact(3).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(value);
                }
            }
            to.copy_from_slice(&sums.map(rounded));
        }
    }
}

/// Inlined into its callers, to be compiled for what each may assume of the processor.
#[inline(always)]
fn flatten_rows(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
    let length = 3 * width;
    for ((first, weights), to) in taps.iter().zip(to.chunks_exact_mut(length)) {
        let rows = &from[first * length..];
        let (whole, rest) = to.as_chunks_mut::<TOGETHER>();
        let done = whole.len() * TOGETHER;
        for (to, start) in whole.iter_mut().zip((0..).step_by(TOGETHER)) {
            let mut sums = [HALF; TOGETHER];
            for (row, weight) in rows.chunks_exact(length).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(&row[start..start + TOGETHER]) {
                    *sum += weight * i32::from(value);
                }
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = rounded(sum);
            }
        }
        for (to, at) in rest.iter_mut().zip(done..) {
            let values = rows.chunks_exact(length).map(|row| i32::from(row[at]));
            *to = rounded(
                HALF + values.zip(weights).map(|(value, weight)| value * weight).sum::<i32>(),
            );
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_unpacklo_epi32, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_cvtepu8_epi32, _mm256_extracti128_si256, _mm256_mullo_epi32,
        _mm256_packs_epi32, _mm256_packus_epi16, _mm256_set1_epi32, _mm256_srai_epi32,
    };

    use super::{HALF, PRECISION, Taps, flatten_rows, narrow_rows};

    /// Two rows at once, a pixel of each in four lanes; the fourth is another pixel's and dropped.
    #[target_feature(enable = "avx2")]
    pub(super) fn narrow(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
        let (length, new_length) = (3 * width, 3 * taps.first.len());
        // The last rows are left to the plain pass: there, the fourth lane may lie behind the image.
        let pairs = (to.len() / new_length).saturating_sub(1) / 2;
        let (paired, rest) = to.split_at_mut(2 * pairs * new_length);
        for (pair, to) in paired.chunks_exact_mut(2 * new_length).enumerate() {
            let upper = &from[2 * pair * length..];
            let lower = &upper[length..];
            let (to_upper, to_lower) = to.split_at_mut(new_length);
            let to = to_upper.chunks_exact_mut(3).zip(to_lower.chunks_exact_mut(3));
            for ((first, weights), (to_upper, to_lower)) in taps.iter().zip(to) {
                let span = 3 * first..3 * (first + weights.len()) + 1;
                let mut sums = _mm256_set1_epi32(HALF);
                let pixels = upper[span.clone()].windows(4).zip(lower[span].windows(4)).step_by(3);
                for ((upper, lower), &weight) in pixels.zip(weights) {
                    let pixels = _mm_unpacklo_epi32(lanes(upper), lanes(lower));
                    let products =
                        _mm256_mullo_epi32(_mm256_cvtepu8_epi32(pixels), _mm256_set1_epi32(weight));
                    sums = _mm256_add_epi32(sums, products);
                }
                let sums = _mm256_srai_epi32::<{ PRECISION as i32 }>(sums);
                let words = _mm256_packs_epi32(sums, sums);
                let bytes = _mm256_packus_epi16(words, words);
                let upper = _mm_cvtsi128_si32(_mm256_castsi256_si128(bytes)).to_le_bytes();
                let lower = _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(bytes)).to_le_bytes();
                to_upper.copy_from_slice(&upper[..3]);
                to_lower.copy_from_slice(&lower[..3]);
            }
        }
        narrow_rows(&from[2 * pairs * length..], width, taps, rest);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn flatten(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
        flatten_rows(from, width, taps, to);
    }

    /// Four bytes as they lie.
    #[target_feature(enable = "avx2")]
    fn lanes(bytes: &[u8]) -> std::arch::x86_64::__m128i {
        _mm_cvtsi32_si128(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spec::config::Interpolation;

    use super::super::Filter;
    use super::*;

    proptest! {
        #[test]
        fn the_processor_s_vectors_change_nothing(
            (width, height, side) in (1..60_usize, 1..12_usize, 1..40_usize),
            interpolation in prop_oneof![
                Just(Interpolation::Bilinear), Just(Interpolation::Bicubic), Just(Interpolation::Lanczos)
            ],
            seed in any::<u32>(),
        ) {
            let filter = Filter::of(interpolation).unwrap();
            let image: Vec<u8> = (0..3 * width * height)
                .map(|at| ((at as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
                .collect();
            let columns = Taps::new(width, side, &filter);
            let (mut plain, mut vectors) = (vec![0; 3 * side * height], vec![0; 3 * side * height]);
            narrow_rows(&image, width, &columns, &mut plain);
            narrow(&image, width, &columns, &mut vectors);
            prop_assert_eq!(plain, vectors);
            let rows = Taps::new(height, side, &filter);
            let (mut plain, mut vectors) = (vec![0; 3 * width * side], vec![0; 3 * width * side]);
            flatten_rows(&image, width, &rows, &mut plain);
            flatten(&image, width, &rows, &mut vectors);
            prop_assert_eq!(plain, vectors);
        }
    }
}
