//! The node on a PC: its serial port is a TCP socket and, when asked, a pty.
