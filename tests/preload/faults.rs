//! A library to preload into `sweep`: kills it at its N-th call that changes something outside it.
//!
//! Every such call is a point: to make, write, cut, sync, rename or remove a file, to make a folder, to
//! start a process. `FAULT_AT` says which one comes too late; with `FAULT_HALF` the write there gets half
//! of its bytes out. What was about to happen goes to the file that `FAULT_LOG` names. With `FAULT_PROGRAM`
//! it is another program, and with `FAULT_WHERE` only calls count on files in whose path that occurs. Where the
//! file that `FAULT_TRACE` names is there, each gets a line in it before it happens. Calls go straight to the
//! system, so that nothing here comes by again.
#![allow(unsafe_code, reason = "the C library's functions are stood in for")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{mode_t, off64_t, pid_t, size_t, ssize_t};

struct Plan {
    at: u64,
    half: bool,
    log: CString,
    place: Option<String>,
}

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
static TRACE: OnceLock<Option<c_int>> = OnceLock::new();
static POINTS: AtomicU64 = AtomicU64::new(0);

/// Whether this is the program that is meant, and not another one, which inherits all of this.
fn is_meant() -> Option<bool> {
    let program = std::env::var("FAULT_PROGRAM").unwrap_or_else(|_| "sweep".to_owned());
    Some(std::env::current_exe().ok()?.file_name()? == program.as_str())
}

/// What is to happen, if anything is.
fn plan() -> Option<&'static Plan> {
    let read = || {
        let ours = is_meant()?;
        let place = std::env::var("FAULT_WHERE").ok();
        let at = std::env::var("FAULT_AT").ok()?.parse().ok()?;
        let log = CString::new(std::env::var("FAULT_LOG").ok()?).ok()?;
        let half = std::env::var_os("FAULT_HALF").is_some();
        ours.then_some(Plan { at, half, log, place })
    };
    PLAN.get_or_init(read).as_ref()
}

/// The file that gets a line for each call, open at its end.
fn trace() -> Option<c_int> {
    let open = || {
        let file = CString::new(std::env::var("FAULT_TRACE").ok()?).ok()?;
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CLOEXEC;
        // SAFETY: a plain system call on memory that is ours.
        let file = unsafe { libc::syscall(libc::SYS_open, file.as_ptr(), flags) } as c_int;
        is_meant()?.then_some(file).filter(|file| *file >= 0)
    };
    *TRACE.get_or_init(open)
}

/// Whole: what several threads tell does not mix.
fn told(trace: c_int, what: &str) {
    let line = format!("{what}\n");
    // SAFETY: a plain system call on memory that is ours.
    unsafe { libc::syscall(libc::SYS_write, trace, line.as_ptr(), line.len()) };
}

/// Counts a point, if `what` happens where points are. The plan, if this is where it ends.
fn ends_here(what: impl Fn() -> String) -> Option<&'static Plan> {
    if let Some(trace) = trace() {
        told(trace, &what());
    }
    let plan = plan()?;
    if let Some(place) = &plan.place
        && !what().contains(place)
    {
        return None;
    }
    let number = POINTS.fetch_add(1, Ordering::SeqCst) + 1;
    (number == plan.at).then_some(plan)
}

fn end(plan: &Plan, what: &str) -> ! {
    // SAFETY: plain system calls on memory that is ours.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        let log = libc::syscall(libc::SYS_open, plan.log.as_ptr(), flags, 0o644);
        libc::syscall(libc::SYS_write, log, what.as_ptr(), what.len());
        libc::syscall(libc::SYS_kill, libc::getpid(), libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
}

fn point(what: impl Fn() -> String) {
    if let Some(plan) = ends_here(&what) {
        end(plan, &what());
    }
}

/// # Safety
/// `path` ends with a zero.
unsafe fn named(what: &str, path: *const c_char) -> String {
    // SAFETY: the caller's promise.
    format!("{what} {}", unsafe { CStr::from_ptr(path) }.to_string_lossy())
}

fn open_file(what: &str, file: c_int) -> String {
    let path = std::fs::read_link(format!("/proc/self/fd/{file}")).unwrap_or_default();
    format!("{what} {}", path.display())
}

/// # Safety
/// As write(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    if let Some(plan) = ends_here(|| open_file("write", file)) {
        if plan.half {
            // SAFETY: fewer bytes than there are.
            unsafe { libc::syscall(libc::SYS_write, file, bytes, count / 2) };
        }
        end(plan, &open_file("write", file));
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_write, file, bytes, count) as ssize_t }
}

/// # Safety
/// As fsync(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    point(|| open_file("sync", file));
    // SAFETY: no memory is touched.
    unsafe { libc::syscall(libc::SYS_fsync, file) as c_int }
}

/// # Safety
/// As ftruncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(file: c_int, length: off64_t) -> c_int {
    point(|| open_file("cut", file));
    // SAFETY: no memory is touched.
    unsafe { libc::syscall(libc::SYS_ftruncate, file, length) as c_int }
}

/// # Safety
/// As rename(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    point(|| unsafe { named("rename", to) });
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_rename, from, to) as c_int }
}

/// # Safety
/// As unlink(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    point(|| unsafe { named("remove", path) });
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_unlink, path) as c_int }
}

/// # Safety
/// As unlinkat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    point(|| unsafe { named(&open_file("remove", folder), path) });
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_unlinkat, folder, path, flags) as c_int }
}

/// # Safety
/// As rmdir(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    point(|| unsafe { named("remove", path) });
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_rmdir, path) as c_int }
}

/// # Safety
/// As mkdir(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise.
    point(|| unsafe { named("folder", path) });
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_mkdir, path, mode) as c_int }
}

/// # Safety
/// As open(2); on x86-64 an argument more or less makes no difference to how it is called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    if flags & libc::O_CREAT != 0 {
        // SAFETY: the caller's promise.
        point(|| unsafe { named("make", path) });
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_open, path, flags, mode) as c_int }
}

/// # Safety
/// As fork(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fork() -> pid_t {
    point(|| "start".to_owned());
    // SAFETY: the next `fork` in the order of libraries is the C library's, which this stands in for.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"fork".as_ptr());
        let fork: unsafe extern "C" fn() -> pid_t = std::mem::transmute(next);
        fork()
    }
}
