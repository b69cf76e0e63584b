//! Which instructions this processor has, found once at run time.

/// An instruction set that the kernels have a version for. Values come from [`Isa::available`] alone, so a value is proof
/// that the processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Isa {
    /// All that this processor has, the plain reference first and the fastest last.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let vnni = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni");
            if avx2 {
                found.push(Self(Level::Avx2));
            }
            if avx2 && vnni {
                found.push(Self(Level::Avx512Vnni));
            }
        }
        found
    }

    /// The fastest.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self(Level::Portable))
    }

    pub(super) fn level(self) -> Level {
        self.0
    }
}

/// `a·b + c`, fused where the version has the instruction; elsewhere fusing would be a slow call.
#[inline(always)]
pub(super) fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// 16-bit floats (IEEE 754) as 32-bit ones, exactly.
#[inline(always)]
pub(super) fn widen(halves: &[u16; 16]) -> [f32; 16] {
    /// What brings the exponent's bias of 15 to 127.
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    halves.map(|half| {
        let sign = u32::from(half & 0x8000) << 16;
        let magnitude = f32::from_bits(u32::from(half & 0x7FFF) << 13);
        let finite = (magnitude * REBIAS).to_bits();
        let bits = if half & 0x7C00 == 0x7C00 { magnitude.to_bits() | 0x7F80_0000 } else { finite };
        f32::from_bits(bits | sign)
    })
}

/// Make `fn name(isa, …)` out of an `#[inline(always)] fn body<const FUSED: bool>(…)`: the compiler vectorises the same code once for
/// each instruction set.
macro_rules! versions {
    ($(#[$documentation:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) = $body:ident) => {
        $(#[$documentation])*
        #[allow(unsafe_code, reason = "functions for instructions that detection found")]
        #[allow(clippy::too_many_arguments, reason = "one more than the body has")]
        $visibility fn $name(isa: $crate::kernels::cpu::isa::Isa, $($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")]
            fn avx512($($argument: $kind),*) {
                $body::<true>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2($($argument: $kind),*) {
                $body::<true>($($argument),*)
            }
            match isa.level() {
                // SAFETY: an `Isa` of this level exists only where the processor has these features.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::cpu::isa::Level::Avx512Vnni => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::cpu::isa::Level::Avx2 => unsafe { avx2($($argument),*) },
                $crate::kernels::cpu::isa::Level::Portable => $body::<false>($($argument),*),
            }
        }
    };
}
pub(super) use versions;

#[cfg(test)]
mod tests {
    use super::widen;

    #[test]
    fn every_half_is_widened_exactly() {
        for first in (0..=u16::MAX).step_by(16) {
            let halves = std::array::from_fn(|at| first + at as u16);
            for (half, wide) in halves.iter().zip(widen(&halves)) {
                let right = half::f16::from_bits(*half).to_f32();
                assert!(
                    wide.to_bits() == right.to_bits() || wide.is_nan() && right.is_nan(),
                    "{half:#06x}: {wide}, not {right}"
                );
            }
        }
    }
}
