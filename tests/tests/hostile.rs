//! Files and names that mean harm: refused with a clear error, in bounded memory.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, Ran, Running};
use crate::real::Real;

/// The same command, with so many KiB of address space at the most for it and all that it starts.
fn limited(command: &Command, kibibytes: u64) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {kibibytes}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// `sweep` alone, which has to do with little memory.
fn in_little_memory(bench: &Bench, args: &[&str]) -> Ran {
    bench.wait(Running::start(limited(&bench.command(args), 1 << 20)))
}

#[test]
fn a_weights_file_whose_header_claims_two_to_the_sixtieth_bytes_is_refused() {
    let bench = Bench::new();
    let mut file = (1_u64 << 60).to_le_bytes().to_vec();
    file.extend(b"{\"features\":{\"dtype\":\"F32\"");
    fs_err::write(bench.path("weights.safetensors"), file).unwrap();
    let (run, verify) = (["run", "batch_size.toml"], ["weights", "verify", "weights.safetensors"]);
    for (args, code) in [(&run[..], 5), (&verify, 2)] {
        let ran = in_little_memory(&bench, args);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        let said = ran.stdout + &ran.stderr;
        assert!(
            said.contains("weights.safetensors") && said.contains("header too large"),
            "{said}"
        );
    }
    assert_eq!(bench.ledger(), [""; 0], "nothing starts");
    assert!(!bench.path("results").exists());
}

#[test]
fn names_do_not_lead_out_of_the_results() {
    let bench = Bench::new();
    bench.write(
        "batch_size.toml",
        "extends = \"base.toml\"\nstrategy = \"ofat\"\n[factors]\n\
         batch_size = [{ label = \"../../../outside\", batch_size = 16 }, \
         { label = \"/outside\", batch_size = 64 }]\n",
    );
    bench.write("data/train/..cleaned/0009.jpg", "x");
    bench.write("data/test/..cleaned/0009.jpg", "x");
    let before: Vec<String> = outside(&bench);
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("../../../outside"), "{}", ran.stdout);
    assert_eq!(bench.sweep(&["report", "--plots", "results/plots"]).code, 0);
    assert_eq!(outside(&bench), before, "all that was written lies in results");
    for args in [
        &["report", "../results/batch_size"][..],
        &["status", ".."],
        &["logs", "../../batch_size"],
        &["explain", "../.."],
        &["compare", "..", "batch_size/../batch_size"],
    ] {
        let ran = bench.sweep(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(args[1]), "{args:?}: {}", ran.stderr);
    }
}

/// What lies in the bench's folder beside the results and what the fake worker writes.
fn outside(bench: &Bench) -> Vec<String> {
    let ours = |file: &String| {
        !file.starts_with("results/") && !["ledger", "begun"].contains(&file.as_str())
    };
    bench.files("").into_iter().filter(ours).collect()
}

#[test]
fn a_loop_of_links_in_the_data_is_refused_and_no_way_round_for_ever() {
    let (loops, leads_back) =
        ("Too many levels of symbolic links", "leads back to a folder above it");
    for (target, name, code, words) in [
        ("loop.jpg", "loop.jpg", 5, loops),
        ("..", "up", 2, leads_back),
        (".", "itself", 2, leads_back),
    ] {
        let bench = Bench::new();
        symlink(target, bench.path("data/train/cleaned").join(name)).unwrap();
        let ran = in_little_memory(&bench, &["run", "batch_size.toml"]);
        assert_eq!(ran.code, code, "{name}: {}", ran.stderr);
        let place = format!("data/train/cleaned/{name}");
        assert!(ran.stderr.contains(&place) && ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(bench.ledger(), [""; 0], "nothing starts");
        assert!(!bench.path("results").exists());
    }
}

/// A PNG of `side` x `side` pixels of one bit, all black: some hundred KB that become gigabytes.
fn bomb(side: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    // One bit, grey, and the only ways there are to compress, filter and interlace.
    header.extend([1, 0, 0, 0, 0]);
    let length = (1 + u64::from(side).div_ceil(8)) * u64::from(side);
    for (kind, data) in [(b"IHDR", header), (b"IDAT", zeros(length)), (b"IEND", Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let start = png.len();
        png.extend(kind);
        png.extend(data);
        let sum = crc(&png[start..]);
        png.extend(sum.to_be_bytes());
    }
    png
}

/// A zlib stream (RFC 1950) of so many zeros: one, then copies of 258 of them, in fixed Huffman codes.
fn zeros(length: u64) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let (mut bits, mut held) = (0_u64, 0);
    let mut push = |code: u64, length: u32, stream: &mut Vec<u8>| {
        bits |= code << held;
        held += length;
        while held >= 8 {
            stream.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    push(0b011, 3, &mut stream);
    // The literal 0 is 00110000, from its first bit on; a copy of 258 from 1 before is 11000101 00000.
    let singles = 1 + (length - 1) % 258;
    (0..singles).for_each(|_| push(0b0000_1100, 8, &mut stream));
    (0..(length - singles) / 258).for_each(|_| push(0b1010_0011, 13, &mut stream));
    push(0, 7, &mut stream);
    push(0, 7, &mut stream);
    let sum = ((length % 65521) << 16 | 1) as u32;
    stream.extend(sum.to_be_bytes());
    stream
}

/// CRC-32, as PNG has it.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

/// How far the memory of a worker went that looked at plates, by the system's own count, in KiB.
fn peak(real: &Real, results: &str) -> (Ran, u64) {
    let command =
        real.command(&["run", "batch_size.toml", "--devices", "cpu:1", "--results", results]);
    let mut timed = Command::new("python3");
    timed.args([
        "-c",
        "import resource, subprocess, sys\n\
         code = subprocess.call(sys.argv[2:])\n\
         peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
         open(sys.argv[1], 'w').write(str(peak))\n\
         sys.exit(code)",
        "peak",
    ]);
    timed.arg(command.get_program()).args(command.get_args());
    timed.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let ran = real.0.wait(Running::start(timed));
    (ran, real.0.read("peak").parse().unwrap())
}

#[test]
fn a_picture_that_would_fill_the_memory_is_refused_before_it_does() {
    let real = Real::new();
    let undisturbed = peak(&real, "undisturbed");
    assert_eq!(undisturbed.0.code, 0, "{}", undisturbed.0.stderr);
    let side = 60_000;
    let bomb = bomb(side);
    assert!(bomb.len() < 4 << 20, "{}", bomb.len());
    fs_err::write(real.0.path("plates/train/dirty/bomb.png"), bomb).unwrap();
    let (ran, peak) = peak(&real, "results");
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("bomb.png"), "{}", ran.stderr);
    let much = undisturbed.1 + (1 << 20);
    assert!(peak < much, "{peak} KiB, and {} without it", undisturbed.1);
    assert!(!Path::new(&real.0.path("results")).join("batch_size/report.md").exists());
}
