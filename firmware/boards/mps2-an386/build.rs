//! See `boards/link.rs`.
#[path = "../link.rs"]
mod link;

fn main() {
    link::link();
}
