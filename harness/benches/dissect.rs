//! Dissect and filter a large capture, beside `tshark -Y` on the same file in the same run. Prints figures; never fails on them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use faultlab::capture::read;
use faultlab::filter::Filter;

const PACKETS: u32 = 120_000;
const FILTER: &str = "udp.port == 4500 && esp.sequence > 100";

fn main() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("large.pcap");
    std::fs::write(&path, capture()).expect("the capture can be written");
    let filter = Filter::parse(FILTER).expect("the filter is right");
    let mut best = Duration::MAX;
    let mut selected = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        selected = read::parallel_filter(&path, &filter).expect("the capture can be read").len();
        best = best.min(begun.elapsed());
    }
    println!("dissect + filter `{FILTER}` on {PACKETS} packets: {}, {selected} selected", rate(best));
    match tshark(&path) {
        None => println!("tshark is not installed; nothing to compare with"),
        Some((time, count)) => {
            println!("tshark -Y:                                              {}, {count} selected", rate(time));
            println!(
                "factor: {:.1} (goal: 20){}",
                time.as_secs_f64() / best.as_secs_f64(),
                if count == selected { "" } else { "; SELECTIONS DIFFER" }
            );
        }
    }
}

fn rate(time: Duration) -> String {
    format!("{:>8.1} ms, {:>6.2} Mpackets/s", time.as_secs_f64() * 1e3, f64::from(PACKETS) / time.as_secs_f64() / 1e6)
}

fn tshark(path: &Path) -> Option<(Duration, usize)> {
    let mut best: Option<(Duration, usize)> = None;
    for _ in 0..2 {
        let begun = Instant::now();
        let out = Command::new("tshark").arg("-r").arg(path).args(["-Y", FILTER, "-T", "fields", "-e", "frame.number"]).output().ok()?;
        let time = begun.elapsed();
        let count = String::from_utf8_lossy(&out.stdout).lines().count();
        best = Some(best.map_or((time, count), |b| if time < b.0 { (time, count) } else { b }));
    }
    best
}

/// A capture as a busy gateway's: ESP in UDP both ways, inner TCP, a keepalive now and then.
fn capture() -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for n in 0..PACKETS {
        let frame = match n % 10 {
            0..=5 => udp(4500, 4500, &esp(n)),
            6..=8 => tcp(n),
            _ => udp(4500, 4500, &[0xff]),
        };
        for word in [n / 10_000, (n % 10_000) * 100_000, frame.len() as u32, frame.len() as u32] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

fn esp(n: u32) -> Vec<u8> {
    let mut p = vec![0u8; 200];
    p[..4].copy_from_slice(&0xc0ff_ee01_u32.to_be_bytes());
    p[4..8].copy_from_slice(&n.to_be_bytes());
    p[8..].iter_mut().enumerate().for_each(|(i, b)| *b = (n as usize * 31 + i * 7) as u8);
    p
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut u = Vec::with_capacity(8 + payload.len());
    u.extend_from_slice(&src.to_be_bytes());
    u.extend_from_slice(&dst.to_be_bytes());
    u.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    u.extend_from_slice(&[0, 0]);
    u.extend_from_slice(payload);
    ip(17, &u)
}

fn tcp(n: u32) -> Vec<u8> {
    let mut t = vec![0u8; 20 + 400];
    t[..2].copy_from_slice(&40_000_u16.to_be_bytes());
    t[2..4].copy_from_slice(&5001_u16.to_be_bytes());
    t[4..8].copy_from_slice(&(n * 400).to_be_bytes());
    t[12] = 0x50;
    t[13] = 0x10;
    ip(6, &t)
}

fn ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let len = (20 + payload.len()) as u16;
    let mut h = [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1];
    h[2..4].copy_from_slice(&len.to_be_bytes());
    let sum: u32 = h.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    h[10..12].copy_from_slice(&sum.to_be_bytes());
    f.extend_from_slice(&h);
    f.extend_from_slice(payload);
    f
}
