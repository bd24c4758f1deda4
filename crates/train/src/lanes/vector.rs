//! Sixteen numbers at once, in safe Rust that compilers turn into vector instructions.

/// Numbers in a [`Vector`]: the widest that a CPU of today adds in one instruction. Sums are split into
/// so many parts on every machine, so that a narrower one gives the same bits.
pub(super) const WIDTH: usize = 16;

/// Vectors in a [`Tile`]. Eight sums under way at once keep two multipliers busy that take four cycles
/// for each product.
pub(super) const VECTORS: usize = 8;

/// Sixteen numbers, in one line of cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Vector(pub(super) [f32; WIDTH]);

/// 128 numbers that stay in registers while work is done on them.
pub(super) type Tile = [Vector; VECTORS];

/// Numbers in a [`Tile`].
pub(super) const TILE: usize = WIDTH * VECTORS;

impl Vector {
    /// Nothing but 0.
    pub(super) const ZERO: Self = Self([0.0; WIDTH]);

    /// The same number sixteen times.
    #[inline(always)]
    pub(super) fn all(number: f32) -> Self {
        Self([number; WIDTH])
    }

    /// `self x by + add`, rounded once.
    #[inline(always)]
    pub(super) fn mul_add(self, by: Self, add: Self) -> Self {
        let mut sum = self;
        for at in 0..WIDTH {
            sum.0[at] = self.0[at].mul_add(by.0[at], add.0[at]);
        }
        sum
    }

    /// Square roots.
    #[inline(always)]
    pub(super) fn sqrt(self) -> Self {
        let mut root = self;
        for at in 0..WIDTH {
            root.0[at] = self.0[at].sqrt();
        }
        root
    }

    /// The sum of the sixteen numbers, by halves.
    #[inline(always)]
    pub(super) fn sum(self) -> f32 {
        let mut parts = self.0;
        let mut half = WIDTH / 2;
        while half > 0 {
            for at in 0..half {
                parts[at] += parts[at + half];
            }
            half /= 2;
        }
        parts[0]
    }
}

/// An operation on numbers, on each of sixteen.
macro_rules! each_number {
    ($trait:ident, $function:ident) => {
        impl std::ops::$trait for Vector {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: Self) -> Self {
                let mut result = self;
                for at in 0..WIDTH {
                    result.0[at] = std::ops::$trait::$function(self.0[at], other.0[at]);
                }
                result
            }
        }
    };
}

each_number!(Add, add);
each_number!(Sub, sub);
each_number!(Mul, mul);
each_number!(Div, div);

/// Writes a statement out for each vector of a tile. As a loop the compiler would take it for the one to
/// vectorise, across vectors instead of along them, and gather numbers from all over memory.
macro_rules! each_vector {
    ($at:ident, $do:expr) => {{
        each_vector!($at, $do, 0, 1, 2, 3, 4, 5, 6, 7);
    }};
    ($at:ident, $do:expr, $($number:literal),*) => {
        $({
            const $at: usize = $number;
            $do;
        })*
    };
}

pub(super) use each_vector;

/// Work that is worth instructions which not every CPU has.
pub(super) trait Work {
    /// Does it. `#[inline(always)]`, and so must be all that it calls: only what lies within
    /// [`do_with_vectors`] is compiled for those instructions.
    fn work(self);
}

/// Does `work` with the widest instructions that this CPU has. All give the same bits: each rounds
/// once, and [`f32::mul_add`] does so even where the CPU knows no such thing, though slowly.
pub(super) fn do_with_vectors(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn in_512_bits(work: impl Work) {
            work.work();
        }
        #[target_feature(enable = "avx2,fma")]
        fn in_256_bits(work: impl Work) {
            work.work();
        }
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        if fma && wide {
            // SAFETY: the CPU has just said that it has them.
            #[expect(unsafe_code, reason = "instructions that not every CPU has")]
            return unsafe { in_512_bits(work) };
        }
        if fma {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "instructions that not every CPU has")]
            return unsafe { in_256_bits(work) };
        }
    }
    work.work();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_on_each_number() {
        let of = |by: f32| Vector(std::array::from_fn(|at| by * (at as f32 + 1.0)));
        assert_eq!((of(2.0) + of(1.0)) * of(1.0) / of(3.0), of(1.0));
        assert_eq!(of(2.0) - of(1.0), of(1.0));
        assert_eq!(of(1.0).mul_add(of(1.0), Vector::ZERO).sqrt(), of(1.0));
        assert_eq!(of(1.0).sum(), 136.0);
        let mut tile = [Vector::ZERO; VECTORS];
        each_vector!(AT, tile[AT] = Vector::all(AT as f32));
        assert_eq!(tile.map(|vector| vector.0[15]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}
