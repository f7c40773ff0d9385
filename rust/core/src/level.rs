//! [`Level`]: what this CPU can do. The only feature detection of the crate.
//!
//! A `Level` is a proof token: it can be had only by asking the CPU, so a kernel that takes one may call the
//! functions compiled for it. It is an argument and no global, so tests and benchmarks loop over
//! [`Level::available`].

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected as is_detected;
#[cfg(target_arch = "x86_64")]
use std::arch::is_x86_feature_detected as is_detected;
use std::fmt;

use crate::Error;

/// An instruction set that this CPU has, from `portable` (any CPU) upwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(Kind);

/// The levels by name. A bare `Kind` proves nothing about the CPU; a [`Level`] does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// The ladder of this architecture, lowest first.
#[cfg(target_arch = "x86_64")]
const KINDS: &[Kind] = &[Kind::Portable, Kind::Avx2, Kind::Avx512];
#[cfg(target_arch = "aarch64")]
const KINDS: &[Kind] = &[Kind::Portable, Kind::Neon];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KINDS: &[Kind] = &[Kind::Portable];

/// The listed CPU features that this CPU lacks.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! lacking {
    ($($feature:tt),*) => {
        [$(($feature, is_detected!($feature))),*]
            .into_iter()
            .filter_map(|(feature, has)| (!has).then_some(feature))
            .collect()
    };
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    /// The CPU features that this level needs beyond the level below and this CPU lacks.
    fn missing(self) -> Vec<&'static str> {
        match self {
            Kind::Portable => Vec::new(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => lacking!("avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "popcnt"),
            // The Ice Lake set. Earlier AVX-512 CPUs lack the vector popcount, which is the point of the level.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => lacking!(
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vpopcntdq",
                "avx512bitalg",
                "avx512vbmi",
                "avx512vnni"
            ),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => lacking!("neon"),
        }
    }
}

/// Calls the function of the given name in the file of `level` beside the caller: `portable`, and `avx2`, `avx512` or `neon`.
/// The only way into code that needs CPU features.
macro_rules! at_level {
    ($level:expr, $function:ident $arguments:tt) => {
        match $level.kind() {
            $crate::level::Kind::Portable => portable::$function $arguments,
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "x86_64")]
            $crate::level::Kind::Avx2 => unsafe { avx2::$function $arguments },
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "x86_64")]
            $crate::level::Kind::Avx512 => unsafe { avx512::$function $arguments },
            // SAFETY: a `Level` exists only if this CPU has all its features.
            #[cfg(target_arch = "aarch64")]
            $crate::level::Kind::Neon => unsafe { neon::$function $arguments },
        }
    };
}

pub(crate) use at_level;

impl Level {
    /// The level that every CPU has: plain Rust, the meaning of all others.
    pub const PORTABLE: Level = Level(Kind::Portable);

    /// The levels of this CPU, lowest first. A level counts only if it has all those below it.
    pub fn available() -> Vec<Level> {
        KINDS.iter().copied().take_while(|kind| kind.missing().is_empty()).map(Level).collect()
    }

    /// The highest level of this CPU.
    pub fn best() -> Level {
        Level::available().last().copied().unwrap_or(Level::PORTABLE)
    }

    /// The level named `name`, if this CPU has it.
    ///
    /// # Errors
    /// [`Error::Level`] if there is no such level, or this CPU lacks it.
    pub fn named(name: &str) -> Result<Level, Error> {
        if !KINDS.iter().any(|kind| kind.name() == name) {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
            return Err(Error::Level {
                problem: format!(
                    "{name:?} is not a level of {}; expected one of {}",
                    std::env::consts::ARCH,
                    known.join(", ")
                ),
            });
        }
        Level::available().into_iter().find(|level| level.name() == name).ok_or_else(|| {
            let (best, missing) = (Level::best().name(), Level::why_not_higher().unwrap_or_default());
            Error::Level {
                problem: format!(
                    "the level {name:?} is higher than this CPU has: {best:?} is its highest ({missing}); \
                     a level can be lowered, not raised"
                ),
            }
        })
    }

    /// What keeps this CPU from the level above its best one, or `None` at the top.
    pub fn why_not_higher() -> Option<String> {
        let lowest_missing = KINDS.iter().find(|kind| !kind.missing().is_empty());
        lowest_missing.map(|kind| format!("{} needs {}", kind.name(), kind.missing().join(", ")))
    }

    /// The instructions beyond those of the best level that kernels use where this CPU has them.
    pub fn extensions() -> Vec<&'static str> {
        #[cfg(target_arch = "aarch64")]
        let extensions = DotProduct::detected().map(|_| "dotprod").into_iter().collect();
        #[cfg(not(target_arch = "aarch64"))]
        let extensions = Vec::new();
        extensions
    }

    /// `portable`, `avx2`, `avx512` or `neon`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

/// A proof that this CPU has the sums of four products of bytes of Armv8.2, which not every CPU with NEON has.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(crate) struct DotProduct(());

#[cfg(target_arch = "aarch64")]
impl DotProduct {
    /// The proof, if this CPU has the instructions.
    #[inline]
    pub fn detected() -> Option<Self> {
        is_detected!("dotprod").then_some(DotProduct(()))
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_from_portable_and_are_found_by_name() {
        let available = Level::available();
        assert_eq!(available[0], Level::PORTABLE);
        assert!(available.is_sorted());
        for level in available {
            assert_eq!(Level::named(level.name()), Ok(level));
        }
    }

    #[test]
    fn an_unknown_level_is_an_error_that_lists_the_known_ones() {
        let message = Level::named("AVX512").unwrap_err().to_string();
        let known: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
        assert!(message.contains("AVX512") && message.contains(&known.join(", ")), "{message}");
    }
}
