//! `include_dir!` does not tell cargo about the files it takes in.

fn main() {
    println!("cargo::rerun-if-changed=../scenarios");
}
