//! What this machine has, shared out.

use std::env;
use std::path::Path;
use std::thread;

use bytesize::ByteSize;
use spec::devices::Devices;
use spec::sweep::Schedule;

use crate::devices::{self, DevicesError, Machine, MachineGpu, SlotSpec};
use crate::exit::Failure;
use crate::gpus::{self, Driver, FreeMemory, Visible};
use crate::worker::Program;

/// What there is to share out. A worker of the user's own is not asked: the driver alone tells. The built-in
/// one is asked for GPUs only where they matter and where there is
/// a driver: it takes a second to answer.
fn machine(program: &Program, devices: &Devices, cores: usize) -> Result<Machine, Failure> {
    let without = Machine { cores, gpus: Vec::new() };
    if matches!(devices, Devices::Cpu { .. }) {
        return Ok(without);
    }
    let driver = Driver::open();
    let there = || {
        let files = ["/dev/nvidiactl", "/proc/driver/nvidia"];
        driver.is_ok() || files.iter().any(|file| Path::new(file).exists())
    };
    if *devices == Devices::Auto && !there() {
        return Ok(without);
    }
    let places = driver.and_then(|driver| driver.gpus());
    let found = match (program.is_builtin(), &places) {
        (true, _) => program.probe()?.cuda_devices,
        (false, Ok(places)) => places.len(),
        (false, Err(_)) => 0,
    };
    // Entries are ASCII: one that is not names no GPU, and CUDA finds none behind it.
    let inherited = env::var_os("CUDA_VISIBLE_DEVICES");
    let inherited = inherited.as_ref().map(|list| list.to_string_lossy());
    let gpus: Vec<MachineGpu> = match places {
        Ok(places) => gpus::visible(&places, inherited.as_deref())
            .into_iter()
            .map(|Visible { cuda, gpu }| match gpu {
                Ok(gpu) => MachineGpu { cuda, uuid: Some(gpu.uuid), lost: None },
                Err(why) => MachineGpu { cuda, uuid: None, lost: Some(why) },
            })
            .collect(),
        Err(_) if found == 0 => return Ok(without),
        Err(why) => {
            tracing::info!("the driver tells nothing of the GPUs: {why}");
            devices::visible_gpus(found, inherited.as_deref())
        }
    };
    let machine = Machine { gpus, ..without };
    if found > 0 {
        return Ok(machine);
    }
    // One that is lost may keep CUDA from finding the others: that is no reason to train on the CPU unasked.
    match machine.lost() {
        lost if lost.is_empty() => Ok(Machine { gpus: Vec::new(), ..machine }),
        lost => Err(DevicesError::NoGpuAnswers { lost }.into()),
    }
}

/// The cores that this process may use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Who tells whether a GPU of `slots` has memory for a worker; nobody where there is no driver, unless it
/// was asked to wait for so much.
pub(super) fn free_memory(
    wanted: Option<ByteSize>,
    slots: &[SlotSpec],
) -> Result<Option<FreeMemory>, DevicesError> {
    if wanted.is_none() && slots.iter().all(|slot| slot.gpu.is_none()) {
        return Ok(None);
    }
    match (Driver::open(), wanted) {
        (Ok(driver), _) => {
            Ok(Some(FreeMemory { driver, wanted: wanted.map_or(0, |bytes| bytes.as_u64()) }))
        }
        (Err(_), None) => Ok(None),
        (Err(cause), Some(_)) => Err(DevicesError::NoDriver { cause }),
    }
}

/// The slots that `schedule` makes of this machine for `program`, of which `cores` are ours; and which GPUs do
/// not answer, for people.
pub(super) fn slots(
    schedule: &Schedule,
    cores: usize,
    program: &Program,
) -> Result<(Vec<SlotSpec>, Vec<String>), Failure> {
    let machine = machine(program, &schedule.devices, cores)?;
    let slots = devices::share_out(&schedule.devices, schedule.per_device, &machine)?;
    Ok((slots, machine.lost()))
}
