//! The contract node -> gateway: which Modbus register means what, versioned.
