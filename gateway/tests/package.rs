//! The systemd unit and the Debian package, as far as this machine can try them: the unit verified and scored,
//! the package built from this build's program, listed, and installed into a root of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("package")
}

fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        println!("SKIPPED: this machine has no {tool}");
    }
    is_there
}

fn run(command: &mut Command) -> Output {
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?} ends with {}\n{out}{err}", done.status);
    done
}

#[test]
fn the_unit_is_right_and_exposes_no_more_than_2_of_10() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(package().join("davy-gateway.service")).unwrap();
    // Verified with this build's program in the place of the installed one.
    let unit = unit.replace("/usr/bin/davy-gateway", env!("CARGO_BIN_EXE_davy-gateway")).replace("man:davy-gateway(8) ", "");
    let file = folder.path().join("davy-gateway.service");
    std::fs::write(&file, unit).unwrap();
    let verified = run(Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file));
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(!said.contains("davy-gateway.service:"), "{said}");
    let scored = run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20"]).arg(&file));
    println!("{}", String::from_utf8_lossy(&scored.stdout).lines().last().unwrap_or_default());
}

#[test]
fn the_package_is_built_listed_and_installed_into_a_root_of_its_own() {
    if !["dpkg-deb", "dpkg", "objdump", "systemd-sysusers"].into_iter().all(has) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let build = |out: &Path| {
        std::fs::create_dir_all(out).unwrap();
        let mut command = Command::new(package().join("build-deb"));
        command.arg(env!("CARGO_BIN_EXE_davy-gateway")).arg(out).env("COMPRESSION", "gzip").env("SOURCE_DATE_EPOCH", "1795874400");
        PathBuf::from(String::from_utf8(run(&mut command).stdout).unwrap().trim())
    };
    let deb = build(&folder.path().join("first"));
    let listed = String::from_utf8(run(Command::new("dpkg-deb").arg("--contents").arg(&deb)).stdout).unwrap();
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "./usr/bin/davy-gateway\n"),
        ("-rw-r--r-- root/root", "./lib/systemd/system/davy-gateway.service\n"),
        ("-rw-r----- root/root", "./etc/davy-gateway/site.toml.example\n"),
        ("-rw-r--r-- root/root", "./usr/share/man/man8/davy-gateway.8.gz\n"),
    ] {
        assert!(format!("{listed}\n").lines().any(|line| line.starts_with(mode) && line.ends_with(path.trim())), "{path}: {listed}");
    }
    let twice = build(&folder.path().join("second"));
    assert_eq!(std::fs::read(&deb).unwrap(), std::fs::read(twice).unwrap(), "the same program gives the same package");

    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("SKIPPED: only root installs packages");
        return;
    }
    let root = folder.path().join("root");
    for part in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    for file in ["status", "available"] {
        std::fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
    }
    let mut dpkg = Command::new("dpkg");
    dpkg.arg("--root").arg(&root).args(["--force-script-chrootless", "--force-depends", "--log=/dev/null", "--install"]).arg(&deb);
    run(&mut dpkg);
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert!(read("etc/passwd").lines().any(|line| line.starts_with("davy-gateway:")), "its own user");
    assert!(read("etc/group").lines().any(|line| line.starts_with("dialout:") && line.ends_with(":davy-gateway")), "in dialout");
    let (settings, group) = (root.join("etc/davy-gateway"), read("etc/group"));
    let gid = group.lines().find_map(|line| line.strip_prefix("davy-gateway:")).unwrap().split(':').nth(1).unwrap().to_owned();
    let about = rustix::fs::stat(&settings).unwrap();
    assert_eq!((about.st_mode & 0o7777, about.st_gid.to_string()), (0o2750, gid), "only root writes, only the gateway reads");
    // The example that an operator begins with is a site that can work.
    let checked = Command::new(root.join("usr/bin/davy-gateway")).arg("check").arg(settings.join("site.toml.example")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    std::fs::write(settings.join("site.toml"), "gateway = \"kept\"\n").unwrap();
    let mut remove = Command::new("dpkg");
    run(remove.arg("--root").arg(&root).args(["--force-script-chrootless", "--log=/dev/null", "--remove", "davy-gateway"]));
    assert!(settings.join("site.toml").exists(), "a removal keeps the settings");
}
