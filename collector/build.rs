//! Builds the web pages with npm when their sources are newer than `web/dist`, so that they can be embedded.
//! Without the feature `web` it does nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

/// What the pages are made of, besides `src/` and `public/`.
const FILES: [&str; 6] = ["index.html", "package.json", "package-lock.json", "vite.config.ts", "svelte.config.js", "tsconfig.json"];
/// The oldest Node that the bundler runs on.
const OLDEST_NODE: (u32, u32) = (20, 19);

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_WEB").is_none() {
        return ExitCode::SUCCESS;
    }
    match pages() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            println!("cargo::error={sentence}");
            ExitCode::FAILURE
        }
    }
}

fn pages() -> Result<(), String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").map_err(|_| "cargo did not say where the collector lies".to_owned())?;
    let web = Path::new(&root).join("web");
    for name in FILES.iter().chain(&["src", "public", "dist/index.html"]) {
        println!("cargo::rerun-if-changed={}", web.join(name).display());
    }
    // Two builds at once (another target folder) would trip over each other in node_modules.
    let lock_path = std::env::temp_dir().join("davy-web-build.lock");
    let lock = fs::File::create(&lock_path).and_then(|lock| lock.lock().map(|()| lock));
    let _lock = lock.map_err(|error| format!("cannot lock {}: {error}", lock_path.display()))?;

    let sources = FILES.iter().map(|name| web.join(name)).chain([web.join("src"), web.join("public")]);
    let newest = sources.filter_map(|path| newest(&path)).max();
    if let (Some(built), Some(newest)) = (newest_of_file(&web.join("dist/index.html")), newest)
        && built >= newest
    {
        return Ok(());
    }
    check_node()?;
    let installed = newest_of_file(&web.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < newest_of_file(&web.join("package-lock.json")) {
        run(&web, &["ci", "--no-audit", "--no-fund"])?;
    }
    run(&web, &["run", "build"])
}

/// When anything at or under this path changed last.
fn newest(path: &Path) -> Option<SystemTime> {
    let own = newest_of_file(path);
    let Ok(list) = fs::read_dir(path) else { return own };
    list.flatten().filter_map(|entry| newest(&entry.path())).chain(own).max()
}

fn newest_of_file(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

fn check_node() -> Result<(), String> {
    let advice = format!(
        "install Node {}.{} or newer with npm (https://nodejs.org), or build without the pages: cargo build -p collector --no-default-features",
        OLDEST_NODE.0, OLDEST_NODE.1
    );
    let output =
        Command::new("node").arg("--version").output().map_err(|_| format!("the web pages need Node, which was not found; {advice}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut parts = text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < OLDEST_NODE {
        return Err(format!("the web pages need a newer Node than {text}; {advice}"));
    }
    Ok(())
}

fn run(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let what = format!("npm {}", arguments.join(" "));
    let output = Command::new("npm").args(arguments).current_dir(web).output();
    let output = output.map_err(|error| format!("the web pages need npm, which could not be started ({error}); install it beside Node"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let tail: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(12).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!("`{what}` in {} failed; its last words: {}", web.display(), tail.join(" | ")))
}
