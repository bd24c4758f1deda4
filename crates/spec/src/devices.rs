//! `--devices` and `[schedule] devices`: where runs may go.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The devices that a sweep may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Devices {
    /// Every GPU that there is; without one, the CPU.
    #[default]
    Auto,
    /// The CPU, its cores shared evenly by this many slots; absent: as many as fit.
    Cpu {
        /// Slots.
        slots: Option<NonZeroU32>,
    },
    /// These GPUs, by their PCI bus order; none named: all.
    Cuda {
        /// Device numbers, none twice.
        devices: Vec<u32>,
    },
}

/// A text that names no devices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no devices: write auto, cpu, cpu:4 (slots), cuda or cuda:0,1 (GPUs)")]
pub struct ParseDevicesError(String);

impl FromStr for Devices {
    type Err = ParseDevicesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDevicesError(text.to_owned());
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu { slots: None }),
            ("cpu", Some(slots)) => {
                Ok(Self::Cpu { slots: Some(slots.parse().map_err(|_| error())?) })
            }
            ("cuda", None) => Ok(Self::Cuda { devices: Vec::new() }),
            ("cuda", Some(list)) => {
                let mut devices: Vec<u32> = Vec::new();
                for number in list.split(',') {
                    let number = number.parse().map_err(|_| error())?;
                    if devices.contains(&number) {
                        return Err(error());
                    }
                    devices.push(number);
                }
                Ok(Self::Cuda { devices })
            }
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Devices {
    type Error = ParseDevicesError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Devices> for String {
    fn from(devices: Devices) -> Self {
        devices.to_string()
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu { slots: None } => f.write_str("cpu"),
            Self::Cpu { slots: Some(slots) } => write!(f, "cpu:{slots}"),
            Self::Cuda { devices } if devices.is_empty() => f.write_str("cuda"),
            Self::Cuda { devices } => {
                let list: Vec<_> = devices.iter().map(u32::to_string).collect();
                write!(f, "cuda:{}", list.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["auto", "cpu", "cpu:4", "cuda", "cuda:0", "cuda:0,3"] {
            assert_eq!(text.parse::<Devices>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "gpu", "cpu:0", "cpu:-1", "cpu:x", "cuda:", "cuda:0,0", "auto:1"] {
            assert!(text.parse::<Devices>().is_err(), "{text}");
        }
    }
}
