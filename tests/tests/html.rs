//! The report's page as it is written; `page` has it in a browser.

use end_to_end::script::{Effect, World};

use crate::bench::Bench;

fn html(bench: &Bench, sweep: &str) -> String {
    let ran = bench.sweep(&["report", sweep, "--format", "html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout
}

/// A line for each element; what hangs on the program's version, on hashes and on time is replaced.
fn readable(page: &str) -> String {
    let lines = page.replace("><", ">\n<");
    let mut readable = String::new();
    let mut skipped = "";
    for line in lines.lines() {
        if skipped.is_empty() {
            for (start, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
                if line.starts_with(start) {
                    skipped = end;
                    readable.push_str(&format!("{start}[...]{end}\n"));
                }
            }
        }
        if skipped.is_empty() {
            readable.push_str(&redact(line));
            readable.push('\n');
        } else if line.ends_with(skipped) {
            skipped = "";
        }
    }
    readable.replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
}

/// Hashes, and seconds in the table of runs.
fn redact(line: &str) -> String {
    let words = line.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric());
    let plain = words.map(|word| {
        let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_hash = digits.len() >= 12
            && digits.chars().all(|digit| digit.is_ascii_hexdigit())
            && digits.chars().any(|digit| digit.is_ascii_digit());
        if is_hash { word.replace(digits, "[HASH]") } else { word.to_owned() }
    });
    let line: String = plain.collect();
    if line.ends_with(" s</td>") {
        return "<td class=\"number\">[TIME]</td>".to_owned();
    }
    let line = match line.find("sha256-") {
        Some(_) => line
            .split(' ')
            .map(|word| if word.contains("sha256-") { "[SHA]" } else { word })
            .collect::<Vec<_>>()
            .join(" "),
        None => line,
    };
    // `... ,3,null,0.01,"[HASH]",null]`: seconds stand before the run.
    let parts: Vec<&str> = line.split(",\"[HASH]\"").collect();
    let last = parts.len() - 1;
    let timeless = parts.iter().enumerate().map(|(at, part)| match part.rsplit_once(',') {
        Some((rest, _)) if at < last => format!("{rest},[TIME]"),
        _ => (*part).to_owned(),
    });
    timeless.collect::<Vec<_>>().join(",\"[HASH]\"")
}

#[test]
fn the_page_of_a_small_sweep() {
    let bench = Bench::new();
    bench.write(
        "small.toml",
        "extends = \"base.toml\"\ntitle = \"Two sizes\"\nreplicates = 2\nmargin = 0.02\n[factors]\nbatch_size = [16, 32]\n",
    );
    bench.script(|script| {
        let worse = Effect { batch_size: Some(16), add: -0.3, ..Effect::default() };
        let world = World { accuracy: 0.8, effects: vec![worse], images: 8, ..World::default() };
        script.world = Some(world);
    });
    assert_eq!(bench.sweep(&["run", "small.toml"]).code, 0);
    insta::assert_snapshot!(readable(&html(&bench, "small")));
}

#[test]
fn of_many_classes_the_most_confused_are_shown() {
    let bench = Bench::new();
    bench.script(|script| {
        let classes = (0..25).map(|number| format!("class {number}")).collect();
        let world = World { accuracy: 0.6, images: 100, classes, ..World::default() };
        script.world = Some(world);
    });
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
    let page = html(&bench, "batch_size");
    assert!(page.contains("A matrix of 25 classes has no room here"), "{page}");
    assert_eq!(page.matches("classes that are confused\"").count(), 3, "one for each row");
    assert!(page.contains("<th scope=\"row\">class 24</th><td>class 0</td>"), "{page}");
}
