//! A simulated plant, and the program that cargo run starts: nodes, leaks, faults, gateway, collector.
