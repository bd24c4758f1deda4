//! Slots: how devices are shared out.

use std::num::NonZeroU32;

use miette::Diagnostic;
use spec::devices::Devices;
use spec::sweep::Schedule;
use thiserror::Error;

use crate::exit::{self, Ends};

/// A share of a device that holds one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSpec {
    /// For people: `cpu 1`, `cuda 0`.
    pub name: String,
    /// The device that it is a share of, for people: `the CPU`, `cuda 0`.
    pub home: String,
    /// What the worker is told with `--device`.
    pub device: &'static str,
    /// The GPU, by its UUID, where the driver tells.
    pub gpu: Option<String>,
    /// CPU threads that the worker may use; at least 1.
    pub threads: usize,
    /// What its environment has besides ours.
    pub environment: Vec<(&'static str, String)>,
}

/// What a machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// CPU cores that we may use; at least 1.
    pub cores: usize,
    /// GPUs that a worker can use.
    pub gpus: Vec<MachineGpu>,
}

impl Machine {
    /// Which GPUs do not answer, and why: `cuda 1: a GPU has fallen off the bus`.
    pub fn lost(&self) -> Vec<String> {
        let gpus = self.gpus.iter().enumerate();
        let lost = gpus.filter_map(|(place, gpu)| {
            gpu.lost.as_ref().map(|why| format!("cuda {place} does not answer: {why}"))
        });
        lost.collect()
    }
}

/// A GPU, or a MIG instance of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineGpu {
    /// What `CUDA_VISIBLE_DEVICES` calls it; see [`visible_gpus`].
    pub cuda: String,
    /// What the driver calls it, where the driver tells.
    pub uuid: Option<String>,
    /// Why the driver says that it does not answer, if it does not.
    pub lost: Option<String>,
}

/// The `found` GPUs that a worker sees, where the driver tells nothing of them.
///
/// Where we are given a part of the machine, `inherited` is the list that says which: numbers, UUIDs,
/// MIG instances. Our GPU 0 is then its first entry, and nothing outside it is ever named. CUDA stops
/// reading at the first entry that is no GPU, so the list may be longer than what was found. See
/// <https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables>.
pub fn visible_gpus(found: usize, inherited: Option<&str>) -> Vec<MachineGpu> {
    let unknown = |cuda: String| MachineGpu { cuda, uuid: None, lost: None };
    match inherited {
        None => (0..found).map(|gpu| unknown(gpu.to_string())).collect(),
        Some(list) => {
            list.split(',').take(found).map(|entry| unknown(entry.trim().to_owned())).collect()
        }
    }
}

/// Devices that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum DevicesError {
    /// GPUs were asked for.
    #[error("{asked} was asked for, and there {}", if *.gpus == 1 { "is 1 GPU".to_owned() } else { format!("are {gpus} GPUs") })]
    #[diagnostic(help(
        "`sweep doctor` says what a worker finds; `--devices cpu` does without GPUs"
    ))]
    NoSuchGpu {
        /// As it was written.
        asked: String,
        /// How many there are.
        gpus: usize,
    },
    /// GPUs are there, and nothing can run on them.
    #[error("no GPU can be used: {}", lost.join("; "))]
    #[diagnostic(help(
        "a GPU that has fallen off the bus comes back when it is reset (`nvidia-smi --gpu-reset`) or the machine \
         is started anew; `--devices cpu` does without GPUs"
    ))]
    NoGpuAnswers {
        /// Which do not answer, and why.
        lost: Vec<String>,
    },
    /// It was asked to wait for memory of which nobody can tell how much is free.
    #[error("nobody can tell how much memory of the GPUs is free: {cause}")]
    #[diagnostic(help("--wait-free-memory needs NVIDIA's driver; go on without it"))]
    NoDriver {
        /// Why.
        cause: String,
    },
    /// Sweeps that are run together want different devices.
    #[error("the sweeps name different devices: {first} and {second}")]
    #[diagnostic(help("say with --devices where they run, or run them one by one"))]
    Different {
        /// Those of one.
        first: Devices,
        /// Those of another.
        second: Devices,
    },
    /// Sweeps that are run together want different limits.
    #[error("the sweeps differ in [schedule], besides the devices")]
    #[diagnostic(help("make the sections the same, or run the sweeps one by one"))]
    DifferentLimits,
}

impl Ends for DevicesError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoSuchGpu { .. } | Self::NoGpuAnswers { .. } | Self::NoDriver { .. } => {
                exit::ENVIRONMENT
            }
            Self::Different { .. } | Self::DifferentLimits => exit::USAGE,
        }
    }
}

/// The schedule of sweeps that run together: what all of them say, on the devices that the command line
/// names if it does.
///
/// # Errors
/// When they disagree.
pub fn agree<'a>(
    command_line: Option<&Devices>,
    sweeps: impl IntoIterator<Item = &'a Schedule>,
) -> Result<Schedule, DevicesError> {
    let mut agreed: Option<Schedule> = None;
    for schedule in sweeps {
        let devices = command_line.unwrap_or(&schedule.devices).clone();
        let schedule = Schedule { devices, ..schedule.clone() };
        match agreed {
            Some(Schedule { devices: first, .. }) if first != schedule.devices => {
                return Err(DevicesError::Different { first, second: schedule.devices });
            }
            Some(first) if first != schedule => return Err(DevicesError::DifferentLimits),
            _ => agreed = Some(schedule),
        }
    }
    Ok(agreed.unwrap_or_default())
}

/// The device of each slot, numbered from 0 in the order in which they come, and the devices' names.
pub fn homes(slots: &[SlotSpec]) -> (Vec<usize>, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut homes = Vec::new();
    for slot in slots {
        let known = names.iter().position(|name| *name == slot.home);
        homes.push(known.unwrap_or_else(|| {
            names.push(slot.home.clone());
            names.len() - 1
        }));
    }
    (homes, names)
}

/// Shares `devices` of `machine` out; each GPU has `per_device` slots.
///
/// # Errors
/// When a GPU is asked for that is not there.
pub fn share_out(
    devices: &Devices,
    per_device: NonZeroU32,
    machine: &Machine,
) -> Result<Vec<SlotSpec>, DevicesError> {
    let each = to_usize(per_device);
    match devices {
        Devices::Auto if !machine.gpus.is_empty() => Ok(gpu_slots(&all(machine)?, each, machine)),
        // Two cores to a slot: a worker decodes and trains at once.
        Devices::Auto | Devices::Cpu { slots: None } => {
            Ok(cpu_slots((machine.cores / 2).max(1), machine.cores))
        }
        Devices::Cpu { slots: Some(slots) } => Ok(cpu_slots(to_usize(*slots), machine.cores)),
        Devices::Cuda { devices: named } => {
            let gpus = machine.gpus.len();
            if gpus == 0 || named.iter().any(|&gpu| gpu as usize >= gpus) {
                return Err(DevicesError::NoSuchGpu { asked: devices.to_string(), gpus });
            }
            Ok(match named.as_slice() {
                [] => gpu_slots(&all(machine)?, each, machine),
                // One that does not answer too: who names it wants to know what it says.
                named => {
                    let named: Vec<usize> = named.iter().map(|&gpu| gpu as usize).collect();
                    gpu_slots(&named, each, machine)
                }
            })
        }
    }
}

fn to_usize(slots: NonZeroU32) -> usize {
    slots.get() as usize
}

fn cpu_slots(slots: usize, cores: usize) -> Vec<SlotSpec> {
    let threads = (cores / slots).max(1);
    let slot = |number| SlotSpec {
        name: format!("cpu {number}"),
        home: "the CPU".to_owned(),
        device: "cpu",
        gpu: None,
        threads,
        environment: threads_environment(threads),
    };
    (1..=slots).map(slot).collect()
}

/// Places of the GPUs that answer.
fn all(machine: &Machine) -> Result<Vec<usize>, DevicesError> {
    let gpus = machine.gpus.iter().enumerate();
    let all: Vec<usize> =
        gpus.filter(|(_, gpu)| gpu.lost.is_none()).map(|(place, _)| place).collect();
    match all.is_empty() {
        true => Err(DevicesError::NoGpuAnswers { lost: machine.lost() }),
        false => Ok(all),
    }
}

/// `each` slots for each of `gpus`, which are places in the machine's list: the first of every GPU
/// before the second of any, so that few runs have a GPU each.
fn gpu_slots(gpus: &[usize], each: usize, machine: &Machine) -> Vec<SlotSpec> {
    let threads = (machine.cores / (gpus.len() * each).max(1)).max(1);
    let slot = |(share, gpu): (usize, usize)| {
        let mut environment = threads_environment(threads);
        // Without the bus order CUDA numbers the fastest GPU first, which may be another one than
        // what nvidia-smi and the user call 0.
        environment.push(("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()));
        environment.push(("CUDA_VISIBLE_DEVICES", machine.gpus[gpu].cuda.clone()));
        let home = format!("cuda {gpu}");
        let name = if each == 1 { home.clone() } else { format!("{home}/{share}") };
        let gpu = machine.gpus[gpu].uuid.clone();
        SlotSpec { name, home, device: "cuda", gpu, threads, environment }
    };
    (1..=each).flat_map(|share| gpus.iter().map(move |&gpu| (share, gpu))).map(slot).collect()
}

fn threads_environment(threads: usize) -> Vec<(&'static str, String)> {
    vec![
        ("OMP_NUM_THREADS", threads.to_string()),
        ("MKL_NUM_THREADS", threads.to_string()),
        // Threads that wait for each other sleep. By default they spin, and where other programs
        // want the cores too they spin away what the one waited for would need.
        ("OMP_WAIT_POLICY", "passive".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(devices: &str, cores: usize, gpus: usize) -> Result<String, DevicesError> {
        let gpus = visible_gpus(gpus, None);
        let slots =
            share_out(&devices.parse().unwrap(), NonZeroU32::MIN, &Machine { cores, gpus })?;
        let slots: Vec<_> = slots.iter().map(|s| format!("{}x{}", s.name, s.threads)).collect();
        Ok(slots.join(", "))
    }

    #[test]
    fn devices_are_shared_out_evenly() {
        let table = [
            ("auto", 4, 0, "cpu 1x2, cpu 2x2"),
            ("auto", 1, 0, "cpu 1x1"),
            ("auto", 16, 2, "cuda 0x8, cuda 1x8"),
            ("cpu", 6, 2, "cpu 1x2, cpu 2x2, cpu 3x2"),
            ("cpu:3", 2, 0, "cpu 1x1, cpu 2x1, cpu 3x1"),
            ("cuda", 4, 2, "cuda 0x2, cuda 1x2"),
            ("cuda:1", 4, 2, "cuda 1x4"),
        ];
        for (devices, cores, gpus, expected) in table {
            assert_eq!(shared(devices, cores, gpus).unwrap(), expected, "{devices}");
        }
    }

    #[test]
    fn sweeps_that_run_together_agree_on_the_schedule() {
        let cpu: Devices = "cpu".parse().unwrap();
        let on =
            |devices: &str| Schedule { devices: devices.parse().unwrap(), ..Schedule::default() };
        let other = Schedule { retries: 7, ..on("cpu") };
        assert_eq!(agree(None, [&on("cpu"), &on("cpu")]).unwrap(), on("cpu"));
        assert_eq!(agree(Some(&cpu), [&on("auto"), &on("cuda:1")]).unwrap(), on("cpu"));
        let error = agree(None, [&on("cpu"), &on("cuda")]).unwrap_err();
        assert!(matches!(error, DevicesError::Different { .. }), "{error}");
        let error = agree(Some(&cpu), [&on("cpu"), &other]).unwrap_err();
        assert_eq!(error, DevicesError::DifferentLimits);
    }

    #[test]
    fn slots_of_the_cpu_are_on_one_device_and_gpus_are_devices() {
        let machine = Machine { cores: 4, gpus: visible_gpus(3, None) };
        let of = |devices: &str| {
            homes(&share_out(&devices.parse().unwrap(), NonZeroU32::MIN, &machine).unwrap())
        };
        assert_eq!(of("cpu:3"), (vec![0, 0, 0], vec!["the CPU".to_owned()]));
        assert_eq!(of("cuda:2,0"), (vec![0, 1], vec!["cuda 2".to_owned(), "cuda 0".to_owned()]));
    }

    #[test]
    fn a_gpu_may_hold_several_workers_and_few_runs_have_one_each() {
        let machine = Machine { cores: 8, gpus: visible_gpus(2, None) };
        let three = NonZeroU32::new(3).unwrap();
        let slots = share_out(&"cuda".parse().unwrap(), three, &machine).unwrap();
        let names: Vec<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
        assert_eq!(names, ["cuda 0/1", "cuda 1/1", "cuda 0/2", "cuda 1/2", "cuda 0/3", "cuda 1/3"]);
        assert_eq!(homes(&slots).0, [0, 1, 0, 1, 0, 1]);
        assert!(slots.iter().all(|slot| slot.threads == 1), "eight cores for six");
    }

    #[test]
    fn gpus_that_are_not_there_are_refused() {
        for (devices, gpus) in [("cuda", 0), ("cuda:0", 0), ("cuda:0,2", 2)] {
            assert!(shared(devices, 4, gpus).is_err(), "{devices}");
        }
    }

    #[test]
    fn a_gpu_that_does_not_answer_is_left_out_unless_it_is_named() {
        let machine = |lost: &[usize]| {
            let mut gpus = visible_gpus(3, None);
            lost.iter().for_each(|&gpu| gpus[gpu].lost = Some("it is lost".to_owned()));
            Machine { cores: 4, gpus }
        };
        let on = |devices: &str, lost: &[usize]| {
            let slots = share_out(&devices.parse().unwrap(), NonZeroU32::MIN, &machine(lost))?;
            let names: Vec<_> = slots.into_iter().map(|slot| slot.name).collect();
            Ok::<_, DevicesError>(names.join(", "))
        };
        assert_eq!(on("auto", &[1]).unwrap(), "cuda 0, cuda 2");
        assert_eq!(on("cuda", &[0, 1]).unwrap(), "cuda 2");
        assert_eq!(on("cuda:0,1", &[1]).unwrap(), "cuda 0, cuda 1");
        for devices in ["auto", "cuda"] {
            let error = on(devices, &[0, 1, 2]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("no GPU can be used: cuda 0 does not answer: it is lost; ")
            );
        }
    }

    #[test]
    fn a_worker_sees_its_gpu_of_those_that_we_see() {
        let table = [
            (None, 2, "cuda", "0 1"),
            (None, 2, "cuda:1", "1"),
            (Some("2,3"), 2, "cuda", "2 3"),
            (Some("3, 2"), 2, "cuda:1", "2"),
            (Some("5"), 1, "auto", "5"),
            (Some("GPU-8932f937,GPU-77aa"), 2, "cuda:1", "GPU-77aa"),
            (Some("MIG-GPU-1/0/0,MIG-2"), 2, "auto", "MIG-GPU-1/0/0 MIG-2"),
            (Some("4,-1,5"), 1, "cuda", "4"),
        ];
        for (inherited, found, devices, expected) in table {
            let machine = Machine { cores: 4, gpus: visible_gpus(found, inherited) };
            let slots = share_out(&devices.parse().unwrap(), NonZeroU32::MIN, &machine).unwrap();
            let told = |name| {
                let values = slots.iter().flat_map(|slot| &slot.environment);
                values.filter(|(n, _)| *n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(told("CUDA_VISIBLE_DEVICES").join(" "), expected, "{inherited:?} {devices}");
            assert!(told("CUDA_DEVICE_ORDER").iter().all(|order| *order == "PCI_BUS_ID"));
        }
        let machine = Machine { cores: 4, gpus: visible_gpus(1, Some("3")) };
        assert!(
            share_out(&"cuda:3".parse().unwrap(), NonZeroU32::MIN, &machine).is_err(),
            "3 is our 0"
        );
    }
}
