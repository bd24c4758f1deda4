//! The NVIDIA GPUs of this machine, as the driver's management library tells of them.
//!
//! libnvidia-ml is opened when it is asked; a machine without it has no NVIDIA driver, which is no error.

use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};
use serde::Serialize;

/// A GPU, or an instance of one that is shared by MIG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// What it is: `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// What it is called in `CUDA_VISIBLE_DEVICES`, whatever others are there.
    pub uuid: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Those of them that nobody uses.
    pub free: u64,
    /// Who uses it. In a container these are the numbers of the host, or nobody is seen.
    pub processes: Vec<GpuProcess>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuProcess {
    /// Its number.
    pub pid: u32,
    /// Bytes of the GPU's memory that it uses, where that is told.
    pub memory: Option<u64>,
}

/// A GPU in its place: in the order of the PCI bus, with the instances that it is divided into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The whole of it.
    pub gpu: Gpu,
    /// Its MIG instances; empty where it is not divided.
    pub instances: Vec<Gpu>,
}

/// A GPU in its place, or why it does not answer: one that has fallen off the bus is still counted.
pub type Answer = Result<Place, String>;

/// A GPU that we may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// What CUDA calls it.
    pub cuda: String,
    /// What it is, or why it does not answer.
    pub gpu: Result<Gpu, String>,
}

/// The driver's management library, opened.
#[derive(Debug)]
pub struct Driver(Nvml);

impl Driver {
    /// Opens it; none where there is no driver, and why.
    ///
    /// # Errors
    /// Why it cannot be opened, for people.
    pub fn open() -> Result<Self, String> {
        Nvml::init().map(Self).map_err(|error| error.to_string())
    }

    /// Every GPU, in the order of the PCI bus; one that does not answer keeps its place and hides no other.
    ///
    /// # Errors
    /// Why they cannot be counted, for people.
    pub fn gpus(&self) -> Result<Vec<Answer>, String> {
        let count = self.0.device_count().map_err(|error| error.to_string())?;
        let answer = |index| place(&self.0.device_by_index(index)?);
        Ok((0..count).map(|index| answer(index).map_err(|error| error.to_string())).collect())
    }

    /// Its version, where it is told.
    pub fn version(&self) -> Option<String> {
        self.0.sys_driver_version().ok()
    }

    /// What every GPU is, in the order of the PCI bus; of one that does not answer, why.
    pub fn names(&self) -> Vec<String> {
        let name = |index| self.0.device_by_index(index).and_then(|device| device.name());
        let count = self.0.device_count().unwrap_or(0);
        (0..count).map(|index| name(index).unwrap_or_else(|error| error.to_string())).collect()
    }

    /// Who computes on the GPU, or the instance of one, that has this UUID.
    ///
    /// # Errors
    /// Why that cannot be told, for people.
    pub fn processes(&self, uuid: &str) -> Result<Vec<GpuProcess>, String> {
        let device = self.0.device_by_uuid(uuid);
        let processes = device.and_then(|device| device.running_compute_processes());
        let processes = processes.map_err(|error| error.to_string())?;
        Ok(processes.into_iter().map(process).collect())
    }

    /// Bytes that are free on the GPU, or the instance of one, that has this UUID.
    ///
    /// # Errors
    /// Why that cannot be told, for people.
    pub fn free(&self, uuid: &str) -> Result<u64, String> {
        let device = self.0.device_by_uuid(uuid).and_then(|device| device.memory_info());
        device.map(|memory| memory.free).map_err(|error| error.to_string())
    }
}

impl Driver {
    /// Whether somebody computes on the GPU that has this UUID. Of an instance of one, and in some containers,
    /// nobody is seen.
    ///
    /// # Errors
    /// Why that cannot be told, for people.
    pub fn is_computed_on(&self, uuid: &str) -> Result<bool, String> {
        let there =
            self.0.device_by_uuid(uuid).and_then(|device| device.running_compute_processes());
        there.map(|processes| !processes.is_empty()).map_err(|error| error.to_string())
    }
}

/// GPUs on which no worker starts before enough of their memory is free, and what their last worker had.
#[derive(Debug)]
pub struct FreeMemory {
    /// Who tells.
    pub driver: Driver,
    /// So many bytes.
    pub wanted: u64,
}

fn place(device: &Device<'_>) -> Result<Place, NvmlError> {
    let gpu = gpu(device)?;
    // What knows no MIG is not divided; places of instances may be empty.
    let divided = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    let places = if divided { device.mig_device_count()? } else { 0 };
    let instances = (0..places).filter_map(|index| device.mig_device_by_index(index).ok());
    let instances = instances.map(|instance| self::gpu(&instance)).collect::<Result<_, _>>()?;
    Ok(Place { gpu, instances })
}

fn gpu(device: &Device<'_>) -> Result<Gpu, NvmlError> {
    let memory = device.memory_info()?;
    // Not told of instances, nor to everybody.
    let processes = device.running_compute_processes().unwrap_or_default();
    Ok(Gpu {
        name: device.name()?,
        uuid: device.uuid()?,
        memory: memory.total,
        free: memory.free,
        processes: processes.into_iter().map(process).collect(),
    })
}

fn process(info: ProcessInfo) -> GpuProcess {
    let memory = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    GpuProcess { pid: info.pid, memory }
}

/// Those of `places` that we may use, each with what CUDA calls it.
///
/// Where we are given a part of the machine, `inherited` is `CUDA_VISIBLE_DEVICES`, the list that says
/// which: numbers, UUIDs or the beginnings of such, MIG instances. CUDA stops reading at the first entry
/// that is no GPU, and takes the first instance of a divided one. See
/// <https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables>.
///
/// CUDA may leave out what does not answer when it counts, so that numbers are not to be trusted any more: the
/// others are then called by their UUIDs.
pub fn visible(places: &[Answer], inherited: Option<&str>) -> Vec<Visible> {
    let counted = places.iter().all(Result::is_ok);
    let all = match inherited {
        None => places.iter().enumerate().flat_map(|(index, place)| all_of(index, place)).collect(),
        Some(list) => {
            let named = |entry: &str| {
                let entry = entry.trim();
                Some(Visible { cuda: entry.to_owned(), gpu: find(places, entry)? })
            };
            list.split(',').map_while(named).collect()
        }
    };
    let by_uuid = |visible: Visible| match &visible.gpu {
        Ok(gpu) if !counted => Visible { cuda: gpu.uuid.clone(), ..visible },
        _ => visible,
    };
    Vec::into_iter(all).map(by_uuid).collect()
}

fn all_of(index: usize, place: &Answer) -> Vec<Visible> {
    match place {
        Ok(Place { gpu, instances }) if instances.is_empty() => {
            vec![Visible { cuda: index.to_string(), gpu: Ok(gpu.clone()) }]
        }
        Ok(Place { instances, .. }) => {
            let visible = |gpu: &Gpu| Visible { cuda: gpu.uuid.clone(), gpu: Ok(gpu.clone()) };
            instances.iter().map(visible).collect()
        }
        Err(why) => vec![Visible { cuda: index.to_string(), gpu: Err(why.clone()) }],
    }
}

/// None where the entry is no GPU. What does not answer does not tell its UUID either.
fn find(places: &[Answer], entry: &str) -> Option<Result<Gpu, String>> {
    if let Ok(index) = entry.parse::<usize>() {
        let first = |place: Place| place.instances.into_iter().next().unwrap_or(place.gpu);
        return Some(places.get(index)?.clone().map(first));
    }
    let answers = places.iter().flatten();
    let mut all = answers.flat_map(|place| [&place.gpu].into_iter().chain(&place.instances));
    all.find(|gpu| !entry.is_empty() && gpu.uuid.starts_with(entry)).cloned().map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(uuid: &str) -> Gpu {
        let (name, uuid) = ("x".to_owned(), uuid.to_owned());
        Gpu { name, uuid, memory: 0, free: 0, processes: Vec::new() }
    }

    #[test]
    fn what_we_were_given_is_what_we_use() {
        let instances = || vec![gpu("MIG-a"), gpu("MIG-b")];
        let places = [
            Ok(Place { gpu: gpu("GPU-11"), instances: Vec::new() }),
            Ok(Place { gpu: gpu("GPU-22"), instances: instances() }),
        ];
        let lost = [Err("it is lost".to_owned()), places[0].clone()];
        for (places, inherited, expected) in [
            (&places, None, "0=GPU-11 MIG-a=MIG-a MIG-b=MIG-b"),
            (&places, Some("1,0"), "1=MIG-a 0=GPU-11"),
            (&places, Some(" GPU-2 , MIG-b"), "GPU-2=GPU-22 MIG-b=MIG-b"),
            (&places, Some("0,7,1"), "0=GPU-11"),
            (&places, Some("0,-1,1"), "0=GPU-11"),
            (&places, Some(""), ""),
            (&lost, None, "0=it is lost GPU-11=GPU-11"),
            (&lost, Some("1,0"), "GPU-11=GPU-11 0=it is lost"),
            (&lost, Some("GPU-1"), "GPU-11=GPU-11"),
        ] {
            let seen = visible(places, inherited);
            let seen: Vec<_> = seen
                .into_iter()
                .map(|Visible { cuda, gpu }| {
                    format!("{cuda}={}", gpu.map_or_else(|why| why, |gpu| gpu.uuid))
                })
                .collect();
            assert_eq!(seen.join(" "), expected, "{inherited:?}");
        }
    }
}
