//! The `sweep` command.

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser as _;
use miette::MietteHandlerOpts;
use sweep::cli::{Cli, Color, Global};
use sweep::exit::Failure;
use sweep::output::Console;
use textwrap::{WordSeparator, WordSplitter};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    sweep::open_files::allow_many();
    let console = Console::new(cli.global.quiet);
    let color = colors(&cli.global);
    log_to(&console, &cli.global, color);
    show_errors(color);
    match sweep::command::run(&cli, &console) {
        Ok(code) => code.into(),
        Err(Failure { code, report }) => {
            console.warn(format!("{report:?}").trim_end());
            code.into()
        }
    }
}

/// Whether stderr gets colours. See <https://no-color.org/>.
fn colors(global: &Global) -> bool {
    match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && io::stderr().is_terminal()
        }
    }
}

fn log_to(console: &Console, global: &Global, color: bool) {
    let level = match global.verbose {
        0 => "warn",
        1 => "sweep=info,warn",
        2 => "sweep=debug,warn",
        _ => "sweep=trace,warn",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(console.clone())
        .with_ansi(color)
        .with_target(false)
        .without_time()
        .init();
}

fn show_errors(color: bool) {
    let terminal = io::stderr().is_terminal();
    let hook = move |_: &_| {
        // Lines break at spaces alone, so that a path stays in one piece; and in a terminal alone,
        // so that a log can be searched.
        let options = MietteHandlerOpts::new()
            .color(color)
            .unicode(true)
            .break_words(false)
            .wrap_lines(terminal)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        Box::new(options.build()) as Box<dyn miette::ReportHandler>
    };
    // It fails only where a handler is set already, and nobody sets one before.
    let _ = miette::set_hook(Box::new(hook));
}
