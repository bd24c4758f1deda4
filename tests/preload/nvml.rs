//! A fake of NVIDIA's management library: four GPUs of 80 GiB, in a machine that has none.
//!
//! GPU 2 is used by a foreign process, which holds 76 GiB until the file that `FAKE_NVML_FREED` names is
//! there. Of GPU 1 10 GiB are used while the file that `FAKE_NVML_KEPT` names is there. With `FAKE_NVML_MIG`
//! GPU 3 is divided into two instances of 40 GiB. `FAKE_NVML_DEAD` names GPUs, by their numbers (`0,2`), that
//! have fallen off the bus; `FAKE_NVML_VERSION` the driver. Where `FAKE_NVML_WORKERS` is set every
//! child of ours is on every GPU. Only what the program asks for is here; see
//! <https://docs.nvidia.com/deploy/nvml-api/>.
#![allow(unsafe_code, reason = "it stands in for a C library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong};
use std::path::Path;

const SUCCESS: c_int = 0;
const INVALID_ARGUMENT: c_int = 2;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
const GPU_IS_LOST: c_int = 15;

const GIB: u64 = 1 << 30;
const FOREIGN: c_uint = 4242;
const GPUS: usize = 4;

/// A handle is a number: 1 to 4 for GPUs, 5 and 6 for the instances of the last.
type Handle = usize;

#[repr(C)]
struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[repr(C)]
struct Process {
    pid: c_uint,
    memory: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

fn uuid(handle: Handle) -> String {
    if handle <= GPUS { format!("GPU-fake-{}", handle - 1) } else { format!("MIG-fake-{handle}") }
}

/// Of the foreign process.
fn taken(handle: Handle) -> u64 {
    let is_there = |name| std::env::var_os(name).is_some_and(|file| Path::new(&file).exists());
    match handle {
        2 if is_there("FAKE_NVML_KEPT") => 10 * GIB,
        3 if !is_there("FAKE_NVML_FREED") => 76 * GIB,
        _ => 0,
    }
}

/// # Safety
/// There is room for `length` bytes at `to`.
unsafe fn give(text: &str, to: *mut c_char, length: c_uint) -> c_int {
    if text.len() >= length as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: it fits, with the zero.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, text.len());
        *to.add(text.len()) = 0;
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_int {
    SUCCESS
}

/// # Safety
/// As in NVML, and so below.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(to: *mut c_char, length: c_uint) -> c_int {
    let version = std::env::var("FAKE_NVML_VERSION").unwrap_or("600.0".to_owned());
    // SAFETY: the caller's promise.
    unsafe { give(&version, to, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { *count = GPUS as c_uint };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, handle: *mut Handle) -> c_int {
    if index as usize >= GPUS {
        return INVALID_ARGUMENT;
    }
    if std::env::var("FAKE_NVML_DEAD")
        .is_ok_and(|dead| dead.split(',').any(|dead| dead == index.to_string()))
    {
        return GPU_IS_LOST;
    }
    // SAFETY: the caller's promise.
    unsafe { *handle = index as usize + 1 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(
    wanted: *const c_char,
    handle: *mut Handle,
) -> c_int {
    // SAFETY: the caller's promise.
    let wanted = unsafe { CStr::from_ptr(wanted) };
    match (1..=GPUS + 2).find(|&handle| uuid(handle).as_bytes() == wanted.to_bytes()) {
        // SAFETY: the caller's promise.
        Some(found) => unsafe { *handle = found },
        None => return NOT_FOUND,
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(handle: Handle, to: *mut c_char, length: c_uint) -> c_int {
    let instance = if handle > GPUS { " MIG 3g.40gb" } else { "" };
    // SAFETY: the caller's promise.
    unsafe { give(&format!("Fake F100{instance}"), to, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(handle: Handle, to: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { give(&uuid(handle), to, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(handle: Handle, memory: *mut Memory) -> c_int {
    let total = if handle > GPUS { 40 * GIB } else { 80 * GIB };
    let used = taken(handle);
    // SAFETY: the caller's promise.
    unsafe {
        let version = (*memory).version;
        *memory = Memory { version, total, reserved: 0, free: total - used, used };
    }
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    handle: Handle,
    count: *mut c_uint,
    processes: *mut Process,
) -> c_int {
    let foreign = Some((FOREIGN, taken(handle))).filter(|(_, memory)| *memory > 0);
    let on_it: Vec<_> = foreign.into_iter().chain(workers().map(|pid| (pid, GIB))).collect();
    let there = on_it.len() as c_uint;
    // SAFETY: the caller's promise.
    unsafe {
        let room = std::mem::replace(&mut *count, there);
        if room < there {
            return INSUFFICIENT_SIZE;
        }
        for (place, (pid, memory)) in on_it.into_iter().enumerate() {
            let (gpu_instance, compute_instance) = (c_uint::MAX, c_uint::MAX);
            *processes.add(place) = Process { pid, memory, gpu_instance, compute_instance };
        }
    }
    SUCCESS
}

/// Our children, where that is asked for.
fn workers() -> impl Iterator<Item = c_uint> {
    let asked = std::env::var_os("FAKE_NVML_WORKERS").is_some();
    let all = asked.then(|| fs_err::read_dir("/proc").into_iter().flatten().flatten());
    let us = std::process::id().to_string();
    all.into_iter().flatten().filter_map(move |process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let stat = fs_err::read_to_string(process.path().join("stat")).ok()?;
        // Its state, then its parent.
        let (_, rest) = stat.rsplit_once(") ")?;
        (rest.split(' ').nth(1)? == us).then_some(pid)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    handle: Handle,
    now: *mut c_uint,
    soon: *mut c_uint,
) -> c_int {
    let divided = handle == GPUS && std::env::var_os("FAKE_NVML_MIG").is_some();
    // SAFETY: the caller's promise.
    unsafe { (*now, *soon) = (divided.into(), divided.into()) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(_: Handle, count: *mut c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { *count = 7 };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    _: Handle,
    index: c_uint,
    handle: *mut Handle,
) -> c_int {
    if index >= 2 {
        return NOT_FOUND;
    }
    // SAFETY: the caller's promise.
    unsafe { *handle = GPUS + 1 + index as usize };
    SUCCESS
}
