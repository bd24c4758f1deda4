//! The device that a worker computes on.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::path::PathBuf;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Cuda, Device};

use crate::loaded::libraries;
use crate::native::{Tf32, arithmetic};

/// A device that was asked for and cannot be had. There is no fallback: a run on another device than
/// planned would take hours instead of minutes and say nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The libtorch here has no CUDA part.
    #[error(
        "CUDA was asked for, and libtorch's CUDA part cannot be loaded; install libtorch with CUDA \
         (LD_LIBRARY_PATH may name its folder), or use --device cpu"
    )]
    Libtorch(#[source] libloading::Error),
    /// libtorch sees no GPU.
    #[error(
        "CUDA was asked for, and libtorch sees no GPU: look at the driver (nvidia-smi) and \
         CUDA_VISIBLE_DEVICES, or use --device cpu"
    )]
    NoGpu,
    /// The driver does not name the GPU.
    #[error(
        "the driver does not say what GPU this is, and features of one are not those of another: look at the driver \
         (nvidia-smi), or use --device cpu"
    )]
    Nameless,
    /// The system does not tell what is loaded.
    #[error("what libraries are loaded cannot be read")]
    Loaded(#[source] io::Error),
    /// A library has no version, by which features are told apart.
    #[error("{} does not say its version: install libtorch and CUDA anew, or use --device cpu", file.display())]
    Versionless {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: libloading::Error,
    },
    /// The GPU cannot be set up.
    #[error("libtorch cannot set up the GPU")]
    Torch(#[from] tch::TchError),
    /// The thread pool cannot be made.
    #[error("the threads cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Opens libtorch's CUDA part. It must happen before any other call into libtorch: the first question
/// about CUDA fixes the answer for the process. The binary itself is linked against the CPU part
/// alone, so that one binary serves machines with and without a GPU.
///
/// # Errors
/// When there is no CUDA part, or its own libraries are missing.
pub fn load_cuda() -> Result<(), DeviceError> {
    // SAFETY: libtorch's libraries are made to be loaded this way; their constructors register
    // kernels and touch nothing of ours.
    #[expect(unsafe_code, reason = "loading a library runs its constructors")]
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    // What it registered must stay as long as the process.
    std::mem::forget(library.map_err(DeviceError::Libtorch)?);
    Ok(())
}

/// GPUs that libtorch sees.
pub fn cuda_devices() -> usize {
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

/// The CPU, with `threads` threads for libtorch and for decoding.
///
/// # Errors
/// When the threads cannot be started.
pub fn set_threads(threads: usize) -> Result<(), DeviceError> {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?)
}

/// One thread for libtorch, until it is dropped.
///
/// A dense head's tensors are too small to share: several threads spend more on meeting than on
/// arithmetic, and on a busy machine each meeting waits for whoever was put aside. One thread also
/// makes a head's sums independent of how many threads its slot has.
#[derive(Debug)]
pub struct OneThread {
    before: i32,
}

impl OneThread {
    /// From now on.
    pub fn begin() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

/// The first GPU that libtorch sees; [`load_cuda`] must have been called.
///
/// # Errors
/// When libtorch sees none.
pub fn cuda() -> Result<Device, DeviceError> {
    if cuda_devices() == 0 {
        return Err(DeviceError::NoGpu);
    }
    // The benchmark picks algorithms by timing them, so a run repeated would not give the same.
    Cuda::cudnn_set_benchmark(false);
    // What is called 32 bits is that, unless a run asks for less.
    Tf32::allow(false)?;
    Ok(Device::Cuda(0))
}

/// The device in words, such as `cpu (2 threads)` or `NVIDIA H100`.
pub fn describe(device: Device, threads: usize) -> String {
    match device {
        Device::Cuda(_) => gpu_name().unwrap_or_else(|| "cuda".to_owned()),
        _ if threads == 1 => "cpu (1 thread)".to_owned(),
        _ => format!("cpu ({threads} threads)"),
    }
}

/// What decides on `device` how numbers are rounded. Features that another processor, GPU or library computed
/// differ in their last bits, and a run repeated shall give the same.
///
/// # Errors
/// When the driver does not say what GPU it is, or a library not which version it has.
pub fn rounding(device: Device) -> Result<String, DeviceError> {
    let cpu = arithmetic();
    let Device::Cuda(_) = device else { return Ok(cpu) };
    let gpu = gpu_name().ok_or(DeviceError::Nameless)?;
    // The host's instructions have no part in it.
    let libtorch = cpu.split(", ").next().unwrap_or_default();
    Ok(format!("{gpu}, {libtorch}, {}", gpu_libraries()?))
}

/// The versions of the libraries that libtorch computes with on GPUs, such as `cudart 13000, cudnn 91002, cublasLt 130000`.
/// One that is not loaded is part of libtorch, whose version says which it is.
/// <https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART____VERSION.html>,
/// <https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-graph-library.html>,
/// <https://docs.nvidia.com/cuda/cublas/#cublasltgetversion>
fn gpu_libraries() -> Result<String, DeviceError> {
    type Runtime = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Plain = unsafe extern "C" fn() -> usize;
    let loaded = libraries().map_err(DeviceError::Loaded)?;
    let version = |stem: &str, function: &[u8]| -> Result<String, DeviceError> {
        let is_it = |file: &&PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(&format!("lib{stem}.so")))
        };
        let Some(file) = loaded.iter().find(is_it) else { return Ok(format!("{stem} libtorch's")) };
        let odd = |source| DeviceError::Versionless { file: file.clone(), source };
        // SAFETY: it is loaded already, and the signatures are those of the libraries' manuals.
        #[expect(unsafe_code, reason = "the libraries speak C")]
        let version = unsafe {
            let library = Library::open(Some(file), RTLD_NOW).map_err(odd)?;
            if stem == "cudart" {
                let mut version = 0;
                let _ = library.get::<Runtime>(function).map_err(odd)?(&raw mut version);
                version.to_string()
            } else {
                library.get::<Plain>(function).map_err(odd)?().to_string()
            }
        };
        Ok(format!("{stem} {version}"))
    };
    let versions = [
        version("cudart", b"cudaRuntimeGetVersion\0")?,
        version("cudnn", b"cudnnGetVersion\0")?,
        version("cublasLt", b"cublasLtGetVersion\0")?,
    ];
    Ok(versions.join(", "))
}

/// The name of the first GPU as the driver gives it. libtorch's C interface does not tell it.
/// <https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__DEVICE.html>
fn gpu_name() -> Option<String> {
    type Init = unsafe extern "C" fn(c_int) -> c_int;
    type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let mut name = [0u8; 256];
    // SAFETY: the signatures are those of the CUDA driver's manual, the driver is loaded already, and
    // the buffer is as long as it is told.
    #[expect(unsafe_code, reason = "the driver speaks C")]
    let answered = unsafe {
        let driver = Library::open(Some("libcuda.so.1"), RTLD_NOW).ok()?;
        let init = driver.get::<Init>(b"cuInit\0").ok()?;
        let get = driver.get::<Get>(b"cuDeviceGet\0").ok()?;
        let read = driver.get::<Name>(b"cuDeviceGetName\0").ok()?;
        let mut device = 0;
        init(0) == 0
            && get(&raw mut device, 0) == 0
            && read(name.as_mut_ptr().cast(), name.len() as c_int, device) == 0
    };
    let name = CStr::from_bytes_until_nul(&name).ok()?.to_str().ok()?;
    answered.then(|| name.to_owned())
}
