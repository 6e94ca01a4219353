//! The store-and-forward queue on disk: bounded, checksummed, forgotten only on acknowledgement.
