//! The report as a page, in a real browser.

mod browser;

use std::path::PathBuf;

use end_to_end::script::{Act, Effect, Rule, World};
use serde_json::{Value, json};

use self::browser::{Browser, is_here};
use crate::bench::{Bench, is_long};

/// The cells of the rows of runs that are drawn.
const ROWS: &str = "[...document.querySelectorAll('[data-body] tr:not(.gap)')]\
                    .map(row => [...row.cells].map(cell => cell.textContent).join(' | '))";
/// The words of all rows that are drawn, and of what stands for the others.
const DRAWN: &str = "[...document.querySelectorAll('[data-body] tr')].map(row => row.textContent)";
const COUNT: &str = "document.querySelector('[data-count]').textContent";
/// Where a run's id stands among the cells.
const ID: usize = 9;

/// 3 batch sizes x 12 seeds, of which 64 is truly better; one run fails.
fn swept() -> Bench {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", "replicates = 12");
    bench.write("batch_size.toml", &sweep);
    bench.script(|script| {
        let better = Effect { batch_size: Some(64), add: 0.15, ..Effect::default() };
        let world = World { accuracy: 0.6, effects: vec![better], images: 200, ..World::default() };
        script.world = Some(world);
        script.rules =
            vec![Rule { seed: Some(3), batch_size: Some(16), times: None, act: Act::Fail }];
    });
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 3);
    bench
}

fn page(bench: &Bench) -> PathBuf {
    let ran = bench.sweep(&["report", "--format", "html", "--output", "page.html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    bench.path("page.html")
}

/// The rows of runs that are drawn, cell by cell.
fn rows(browser: &mut Browser) -> Vec<Vec<String>> {
    let rows = browser.texts(ROWS);
    rows.iter().map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

/// The ids of the rows that are drawn.
fn ids(browser: &mut Browser) -> Vec<String> {
    rows(browser).iter().map(|row| row[ID].clone()).collect()
}

/// All runs, ranked by what `report --format json` says of them; those without stay at the end, and what is
/// equal in the table's order.
fn ranked(bench: &Bench, column: &str, down: bool) -> Vec<String> {
    let runs = bench.sweep(&["report", "--format", "json", "--table", "runs"]).stdout;
    let mut runs: Vec<Value> = serde_json::from_str(&runs).unwrap();
    runs.sort_by(|one, other| match (one[column].as_f64(), other[column].as_f64()) {
        (Some(one), Some(other)) if down => other.total_cmp(&one),
        (Some(one), Some(other)) => one.total_cmp(&other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    });
    runs.iter().map(|run| run["run"].as_str().unwrap()[..12].to_owned()).collect()
}

/// What the other tests rest on: nothing that a page does wrong goes unheard.
#[test]
fn a_browser_hears_what_a_page_does_wrong() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let mut browser = Browser::start();
    let policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">";
    for (page, complaint) in [
        ("<script>console.log('said')</script>".to_owned(), "said"),
        ("<script>throw new Error('thrown')</script>".to_owned(), "thrown"),
        ("<img src=http://elsewhere/pixel.png>".to_owned(), "asked for http://elsewhere/pixel.png"),
        (format!("{policy}<script>window.ran = 1</script>"), "Content Security Policy"),
        (format!("{policy}<p style='color: red'>"), "Content Security Policy"),
    ] {
        bench.write("wrong.html", &format!("<!doctype html><html><body>{page}"));
        browser.open(&bench.path("wrong.html"));
        let complaints = browser.complaints().join("\n");
        assert!(complaints.contains(complaint), "{page}: {complaints}");
    }
}

#[test]
fn runs_are_sorted_and_filtered() {
    if !is_here() {
        return;
    }
    let bench = swept();
    let mut browser = Browser::start();
    browser.open(&page(&bench));
    assert_eq!(browser.eval(COUNT), "36 runs");
    for (clicks, down) in [(1, false), (2, true), (3, false)] {
        browser.click("[data-sort=score]");
        let seen = ids(&mut browser);
        assert!(seen.len() > 20, "as many as can be seen, and some more: {seen:?}");
        assert_eq!(seen, ranked(&bench, "score", down)[..seen.len()], "after {clicks} clicks");
        let order =
            browser.eval("document.querySelector('[data-sort=score]').parentElement.ariaSort");
        assert_eq!(order, if down { "descending" } else { "ascending" });
    }
    browser.eval("document.querySelector('[data-window]').scrollTop = 1e9");
    browser.settle();
    let last = rows(&mut browser).pop().unwrap();
    assert_eq!((last[ID].as_str(), last[4].as_str()), (&*ranked(&bench, "score", false)[35], "-"));
    browser.click("[data-sort=seed]");
    let seen = ids(&mut browser);
    assert_eq!(seen, ranked(&bench, "seed", false)[..seen.len()], "from the top again");

    browser.click("[data-filter]");
    browser.enter("64 seed 1");
    assert_eq!(browser.eval(COUNT), "1 of 36 runs", "seed 1 is not seed 10");
    let found = rows(&mut browser);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0][..3], ["batch_size", "64", "1"]);
    browser.eval("document.querySelector('[data-filter]').select()");
    browser.enter("nothing of the kind");
    assert_eq!(browser.eval(COUNT), "0 of 36 runs");
    assert_eq!(rows(&mut browser), Vec::<Vec<String>>::new());
    browser.eval("document.querySelector('[data-filter]').select()");
    browser.enter("baseline");
    assert_eq!(browser.eval(COUNT), "12 of 36 runs");
    assert!(rows(&mut browser).iter().all(|row| row[1] == "32 (baseline)"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_keyboard_reaches_and_works_everything() {
    if !is_here() {
        return;
    }
    let bench = swept();
    let mut browser = Browser::start();
    browser.open(&page(&bench));
    let focus = "(() => { const at = document.activeElement; \
                 const said = at.dataset.sort ? `sort ${at.dataset.sort}` \
                 : 'filter' in at.dataset ? 'filter' : 'outcome' in at.dataset ? 'outcome' \
                 : 'window' in at.dataset ? 'runs' : at.className || at.tagName; \
                 return [said, getComputedStyle(at).outlineStyle]; })()";
    let mut reached = Vec::new();
    let mut on = |browser: &mut Browser, wanted: &str| loop {
        browser.press("Tab");
        let [at, outline] = <[String; 2]>::try_from(browser.texts(focus)).unwrap();
        assert_ne!(outline, "none", "{at} shows that it has the focus");
        reached.push(at.clone());
        assert!(reached.len() < 100, "{wanted} is not among {reached:?}");
        if at == wanted {
            return;
        }
    };
    on(&mut browser, "skip");
    on(&mut browser, "filter");
    browser.enter("batch_size");
    assert_eq!(browser.eval(COUNT), "36 runs");
    on(&mut browser, "outcome");
    browser.press("ArrowDown");
    browser.press("ArrowDown");
    assert_eq!(browser.eval(COUNT), "1 of 36 runs");
    assert_eq!(rows(&mut browser)[0][3], "failed");
    browser.press("ArrowUp");
    browser.press("ArrowUp");
    on(&mut browser, "runs");
    on(&mut browser, "sort score");
    for (key, down) in [("Enter", false), ("Space", true)] {
        browser.press(key);
        let seen = ids(&mut browser);
        assert_eq!(seen, ranked(&bench, "score", down)[..seen.len()], "{key}");
    }
    on(&mut browser, "sort run");
    for region in ["scroll", "PRE"] {
        assert!(reached.iter().any(|at| at == region), "{region} is not among {reached:?}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// How far a page reaches beyond its window: the page itself, and what is cut off without a scroller of its own.
const BEYOND: &str = "[...document.querySelectorAll('body *')].filter(at => { \
    const box = at.getBoundingClientRect(); \
    return box.width > 0 && box.right > innerWidth + 1 && !at.closest('.scroll, pre'); \
    }).map(at => at.outerHTML.slice(0, 200)) \
    .concat(document.documentElement.scrollWidth > innerWidth ? ['the page itself'] : [])";

/// Words that stand out from what is behind them less than WCAG 2 asks of small text, 4.5 to 1.
const FAINT: &str = "(() => { \
    const parts = color => color.match(/[\\d.]+/g).map(Number); \
    const over = (top, below) => { const [r, g, b, a = 1] = parts(top); \
        return `rgb(${[r, g, b].map((part, at) => a * part + (1 - a) * parts(below)[at]).join(' ')})`; }; \
    const light = color => { const [r, g, b] = parts(color).map(part => { part /= 255; \
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; }); \
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; }; \
    const behind = at => { const color = getComputedStyle(at).backgroundColor; \
        return at === document.body ? color : over(color, behind(at.parentElement)); }; \
    return [...document.querySelectorAll('body *')] \
        .filter(at => [...at.childNodes].some(node => node.nodeType === 3 && node.data.trim())) \
        .filter(at => at.checkVisibility() && !at.closest('script, noscript, option')) \
        .map(at => { const style = getComputedStyle(at); \
            const ink = light(at.closest('svg') ? style.fill : style.color), paper = light(behind(at)); \
            const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); \
            return [contrast, at.outerHTML]; }) \
        .filter(([contrast]) => !(contrast >= 4.5)) \
        .map(([contrast, at]) => `${contrast.toFixed(2)} ${at.slice(0, 150)}`); })()";

/// How large the words of plots are on the screen, the smallest of them, in pixels.
const SMALLEST: &str = "Math.min(...[...document.querySelectorAll('svg text')] \
    .map(at => parseFloat(getComputedStyle(at).fontSize) * at.getScreenCTM().a))";

#[test]
fn a_page_follows_who_reads_it() {
    if !is_here() {
        return;
    }
    let bench = swept();
    let mut browser = Browser::start();
    browser.open(&page(&bench));
    let colours = "['body', 'svg text', 'svg .whisker', '.facts thead th', 'input'].map(what => { \
                   const style = getComputedStyle(document.querySelector(what)); \
                   return [style.backgroundColor, style.color, style.fill, style.stroke].join(); })";
    let light = browser.texts(colours);
    browser.media("screen", "dark");
    let dark = browser.texts(colours);
    for (light, dark) in light.iter().zip(&dark) {
        assert_ne!(light, dark);
    }
    for (media, scheme) in [("screen", "light"), ("screen", "dark"), ("print", "dark")] {
        browser.media(media, scheme);
        assert_eq!(browser.texts(FAINT), [""; 0], "{media} {scheme}");
    }
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.eval(paper), "rgb(255, 255, 255)", "whatever the screen is");

    browser.media("screen", "light");
    for width in [1280, 768, 390, 320] {
        browser.size(width, 844);
        browser.settle();
        assert_eq!(browser.texts(BEYOND), [""; 0], "{width} pixels");
        if width <= 390 || width >= 1280 {
            let verdict = "[...document.querySelectorAll('.facts [data-is=verdict]')].every(at => \
                           at.getBoundingClientRect().right <= innerWidth)";
            assert_eq!(browser.eval(verdict), true, "at {width} pixels verdicts are in sight");
        }
        let smallest = browser.eval(SMALLEST).as_f64().unwrap();
        assert!(smallest > if width < 390 { 9.0 } else { 11.0 }, "{smallest} at {width} pixels");
    }

    browser.size(1280, 900);
    browser.media("print", "light");
    let cut = "[...document.querySelectorAll('.scroll, pre')].filter(at => \
               at.scrollHeight > at.clientHeight + 1 && getComputedStyle(at).overflowY !== 'visible') \
               .map(at => at.outerHTML.slice(0, 100))";
    assert_eq!(browser.texts(cut), [""; 0], "nothing hides in a scroller on paper");
    browser.media("", "light");
    browser.eval(&format!("addEventListener('beforeprint', () => {{ window.printed = {ROWS}; }})"));
    assert!(browser.print() > 1000);
    assert_eq!(browser.eval("window.printed.length"), 36);
    assert!(rows(&mut browser).len() < 36, "the screen is as it was");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// What people, or their file names, could make a page do.
fn hostile() -> Vec<String> {
    let names = [
        "<script>window.ran = 1</script>",
        "</script><img src=x onerror=\"window.ran = 2\">",
        "\"><svg onload=window.ran=3>",
        "' onfocus='window.ran = 4' autofocus='",
        "]]> --> */ <!-- <b>",
        "&lt;b&gt; &amp; \\u003c",
        "\u{202e}gpj.desrever\u{2066}",
        "plate \u{1f37d}\u{fe0f} \u{1f469}\u{200d}\u{1f52c}",
        "line\u{2028}separator",
    ];
    names.into_iter().map(str::to_owned).chain(["x".repeat(200)]).collect()
}

#[test]
fn names_are_text_whatever_they_are() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let names = hostile();
    let quoted = |name: &String| serde_json::to_string(name).unwrap();
    let levels = names
        .iter()
        .enumerate()
        .map(|(at, name)| format!("{{ label = {}, batch_size = {} }}", quoted(name), 8 + 8 * at));
    let levels: Vec<String> = levels.collect();
    bench.write(
        "names.toml",
        &format!(
            "extends = \"base.toml\"\ntitle = {}\nreplicates = 2\n[factors]\nnames = [{}]\n",
            quoted(&names.concat()),
            levels.join(", ")
        ),
    );
    bench.script(|script| {
        let worse = Effect { batch_size: Some(8), add: -2.0, ..Effect::default() };
        let (names, classes) = (names.clone(), names.clone());
        let images = names.len() as u64;
        let effects = vec![worse];
        let world = World { accuracy: 1.2, effects, images, names, classes, unlabelled: false };
        script.world = Some(world);
    });
    let ran = bench.sweep(&["run", "names.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut browser = Browser::start();
    browser.open(&page(&bench));
    assert_eq!(browser.eval("typeof window.ran"), "undefined");
    let strange = "document.querySelectorAll('body b, [onload], [onerror], [onfocus], [autofocus], \
                   img:not([src^=\"data:\"]), script[src], iframe, object, form').length";
    assert_eq!(browser.eval(strange), 0, "no name has become an element");
    assert_eq!(browser.eval("document.scripts.length"), 2, "the page's own, and its runs");
    let cells =
        |of: &str| format!("[...document.querySelectorAll('{of}')].map(at => at.textContent)");
    for (what, of) in [
        ("levels", "article > .scroll:first-of-type tbody th"),
        ("levels of runs", "[data-body] td:nth-child(2)"),
        ("images that flip", ".flips .name"),
        ("classes of images", ".flips td:nth-child(2)"),
        ("classes that are told", ".matrix tbody th"),
    ] {
        let seen = browser.texts(&cells(of));
        for name in &names {
            let is_seen =
                seen.iter().any(|seen| seen == name || *seen == format!("{name} (baseline)"));
            assert!(is_seen, "{what}: {name} is not among {seen:#?}");
        }
    }
    assert_eq!(browser.texts(&cells(".title")), [names.concat()]);
    for width in [1280, 390] {
        browser.size(width, 844);
        browser.settle();
        assert_eq!(browser.texts(BEYOND), [""; 0], "{width} pixels");
    }
    browser.click("[data-filter]");
    browser.enter("window.ran");
    assert_eq!(browser.eval(COUNT), "8 of 20 runs");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Ten thousand runs where tests may take minutes, else a thousand.
#[test]
fn thousands_of_runs_stay_usable() {
    if !is_here() {
        return;
    }
    let bench = Bench::new();
    let levels = if is_long() { 100 } else { 10 };
    let runs = levels * 100;
    let sizes: Vec<String> = (1..=levels).map(|size| (8 * size).to_string()).collect();
    let factors = format!("[factors]\nbatch_size = [{}]\n", sizes.join(", "));
    bench.write("many.toml", &format!("extends = \"base.toml\"\nreplicates = 100\n{factors}"));
    assert_eq!(bench.sweep(&["run", "many.toml", "--devices", "cpu:2"]).code, 0);
    let page = page(&bench);
    let size = fs_err::metadata(&page).unwrap().len();
    assert!(size < 200_000 + 480 * runs, "ten thousand are less than 5 MB: {size} bytes");
    let mut browser = Browser::start();
    browser.open(&page);
    assert_eq!(browser.eval(COUNT), format!("{runs} runs"));
    assert!(rows(&mut browser).len() < 100, "rows are drawn as they are needed");
    browser.click("[data-sort=score]");
    let seen = ids(&mut browser);
    let ranked = ranked(&bench, "score", false);
    assert_eq!(seen, ranked[..seen.len()]);
    browser.eval("document.querySelector('[data-window]').scrollTop = 1e9");
    browser.settle();
    assert_eq!(ids(&mut browser).last(), ranked.last());
    browser.click("[data-filter]");
    browser.enter("seed 7");
    assert_eq!(browser.eval(COUNT), format!("{levels} of {runs} runs"));
    browser.eval("document.querySelector('[data-filter]').select()");
    browser.enter("finished");
    assert_eq!(browser.eval(COUNT), format!("{runs} runs"));
    browser
        .eval(&format!("addEventListener('beforeprint', () => {{ window.printed = {DRAWN}; }})"));
    browser.print();
    let more = format!("and {} more, in runs.csv", runs - 500);
    assert_eq!(browser.eval("[window.printed.length, window.printed.pop()]"), json!([501, more]));
    assert_eq!(browser.complaints(), [""; 0]);
}
