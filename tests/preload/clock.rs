//! A library to preload into `sweep`: its calendar starts where `FAKE_NOW` says, in seconds since 1970, and
//! goes on from there. Clocks that measure how long something takes are the system's.
#![allow(unsafe_code, reason = "the C library's function is stood in for")]

use std::ffi::c_int;
use std::sync::OnceLock;

use libc::{clockid_t, timespec};

static AHEAD: OnceLock<i64> = OnceLock::new();

/// # Safety
/// `time` is to be written.
unsafe fn ask(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's promise. Straight to the system: nothing comes by here again.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

/// By how many seconds the calendar is ahead.
fn ahead() -> i64 {
    *AHEAD.get_or_init(|| {
        let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: it is ours.
        unsafe { ask(libc::CLOCK_REALTIME, &raw mut now) };
        let fake = std::env::var("FAKE_NOW").ok().and_then(|text| text.parse::<i64>().ok());
        fake.map_or(0, |fake| fake - now.tv_sec)
    })
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's promise.
    let code = unsafe { ask(clock, time) };
    if code == 0 && clock == libc::CLOCK_REALTIME {
        // SAFETY: the system has written it.
        unsafe { (*time).tv_sec += ahead() };
    }
    code
}
