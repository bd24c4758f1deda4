//! The shared libraries that this process computes with.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The files of all shared libraries that are loaded now, in order. What cuDNN and cuBLAS open at their first
/// call is not among them yet.
///
/// # Errors
/// When the system does not tell.
pub fn libraries() -> io::Result<Vec<PathBuf>> {
    let maps = fs_err::read_to_string("/proc/self/maps")?;
    // One that was replaced since it was loaded has no file any more.
    Ok(mapped(&maps).filter(|file| file.is_file()).map(Path::to_owned).collect())
}

/// The shared libraries in what the kernel says of a process's memory, each once: proc_pid_maps(5).
fn mapped(maps: &str) -> impl Iterator<Item = &Path> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let is_library = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.ends_with(".so") || name.contains(".so.")
    };
    paths.filter(is_library).map(Path::new).collect::<BTreeSet<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_what_else_is_mapped() {
        let maps = "\
55d0-55d1 r--p 00000000 fe:00 1 /opt/sweep/target/release/sweep-train
7f10-7f11 r--p 00000000 fe:00 2 /opt/lib torch/libtorch_cpu.so
7f11-7f12 r-xp 00001000 fe:00 2 /opt/lib torch/libtorch_cpu.so
7f20-7f21 rw-p 00000000 00:00 0
7f30-7f31 r--p 00000000 fe:00 3 /lib/x86_64-linux-gnu/libm.so.6
7f40-7f41 r--s 00000000 fe:00 4 /var/cache/ld.so.cache/features.safetensors
7ffe-7fff r-xp 00000000 00:00 0 [vdso]
";
        let found: Vec<&str> = mapped(maps).filter_map(Path::to_str).collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libm.so.6", "/opt/lib torch/libtorch_cpu.so"]);
    }

    #[test]
    fn this_process_has_libtorch() {
        // The test itself is linked to it.
        let _ = tch::get_num_threads();
        let loaded = libraries().unwrap();
        assert!(loaded.iter().any(|file| file.ends_with("libtorch_cpu.so")), "{loaded:?}");
    }
}
