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
        __m128i, __m256i, _mm_cvtsi128_si32, _mm_set_epi64x, _mm256_add_epi32,
        _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_packs_epi32,
        _mm256_packus_epi16, _mm256_set_m128i, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srai_epi32,
    };

    use super::{HALF, PRECISION, Taps, flatten_rows, narrow_rows};

    /// A weight has too many bits for products of 16 by 16: so many of them are summed by themselves.
    const LOW: u32 = 12;

    /// In an order of bytes, in place of one.
    const NOTHING: u8 = 0x80;

    /// What is loaded of a row for four of its pixels.
    const LOADED: usize = 16;

    /// The weights of four pixels in a row, two to a number, as low and as high bits.
    #[derive(Clone, Copy)]
    struct Four {
        low: [i32; 2],
        high: [i32; 2],
    }

    impl Four {
        fn of(weights: &[i32]) -> Self {
            let weight = |at: usize| weights.get(at).copied().unwrap_or(0);
            let two = |one: i32, other: i32| one & 0xffff | other << 16;
            let both = |of: fn(i32) -> i32| {
                [two(of(weight(0)), of(weight(1))), two(of(weight(2)), of(weight(3)))]
            };
            Self {
                low: both(|weight| weight & ((1 << LOW) - 1)),
                high: both(|weight| weight >> LOW),
            }
        }
    }

    /// Two rows at once, four pixels of each at a time; what lies behind them has no weight.
    #[target_feature(enable = "avx2")]
    pub(super) fn narrow(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
        let (length, new_length) = (3 * width, 3 * taps.first.len());
        let columns: Vec<(usize, Vec<Four>)> = taps
            .iter()
            .map(|(first, weights)| (3 * first, weights.chunks(4).map(Four::of).collect()))
            .collect();
        let ends = columns.iter().map(|(first, fours)| first + 12 * fours.len() + LOADED - 12);
        let reach = ends.max().unwrap_or(0);
        // The last rows are left to the plain pass where what is loaded would lie behind the image.
        let rows = to.len() / new_length;
        let whole =
            (0..=rows).rev().find(|&rows| rows == 0 || (rows - 1) * length + reach <= from.len());
        let pairs = whole.unwrap_or(0) / 2;
        let orders = [channels(0), channels(6)];
        let (paired, rest) = to.split_at_mut(2 * pairs * new_length);
        for (pair, to) in paired.chunks_exact_mut(2 * new_length).enumerate() {
            let upper = &from[2 * pair * length..];
            let lower = &upper[length..];
            let (to_upper, to_lower) = to.split_at_mut(new_length);
            let to = to_upper.chunks_exact_mut(3).zip(to_lower.chunks_exact_mut(3));
            for ((first, fours), (to_upper, to_lower)) in columns.iter().zip(to) {
                let (mut low, mut high) = (_mm256_set1_epi32(HALF), _mm256_setzero_si256());
                for (four, at) in fours.iter().zip((*first..).step_by(12)) {
                    let pixels = _mm256_set_m128i(loaded(&lower[at..]), loaded(&upper[at..]));
                    let pixels = orders.map(|order| _mm256_shuffle_epi8(pixels, order));
                    low = _mm256_add_epi32(low, products(pixels, four.low));
                    high = _mm256_add_epi32(high, products(pixels, four.high));
                }
                let sums = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW as i32 }>(high));
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

    /// The first bytes as they lie.
    #[target_feature(enable = "avx2")]
    fn loaded(bytes: &[u8]) -> __m128i {
        let (whole, _) = bytes[..LOADED].as_chunks::<8>();
        _mm_set_epi64x(i64::from_le_bytes(whole[1]), i64::from_le_bytes(whole[0]))
    }

    /// The order that takes, in each half, of the two pixels from byte `at` on both reds, both greens, both blues, and
    /// nothing.
    #[target_feature(enable = "avx2")]
    fn channels(at: u8) -> __m256i {
        let mut order = [NOTHING; LOADED];
        for channel in 0..3_u8 {
            let both = &mut order[4 * usize::from(channel)..];
            (both[0], both[2]) = (at + channel, at + channel + 3);
        }
        let half = loaded(&order);
        _mm256_set_m128i(half, half)
    }

    /// What four pixels add to the sum of each channel.
    #[target_feature(enable = "avx2")]
    fn products(pixels: [__m256i; 2], weights: [i32; 2]) -> __m256i {
        let [one, other] = [0, 1].map(|at| (pixels[at], weights[at]));
        _mm256_add_epi32(
            _mm256_madd_epi16(one.0, _mm256_set1_epi32(one.1)),
            _mm256_madd_epi16(other.0, _mm256_set1_epi32(other.1)),
        )
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn flatten(from: &[u8], width: usize, taps: &Taps, to: &mut [u8]) {
        flatten_rows(from, width, taps, to);
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

    /// Of a wide photograph many pixels make one, and the brightest ones the largest sums.
    #[test]
    fn the_processor_s_vectors_change_nothing_of_wide_images() {
        let filter = Filter::of(Interpolation::Lanczos).unwrap();
        let (width, height, side) = (4000, 5, 224);
        let columns = Taps::new(width, side, &filter);
        for image in [
            vec![255; 3 * width * height],
            (0..3 * width * height).map(|at| (at % 251) as u8).collect(),
        ] {
            let (mut plain, mut vectors) = (vec![0; 3 * side * height], vec![0; 3 * side * height]);
            narrow_rows(&image, width, &columns, &mut plain);
            narrow(&image, width, &columns, &mut vectors);
            assert_eq!(plain, vectors);
        }
    }
}
