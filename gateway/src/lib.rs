//! The post office: asks field devices, keeps every reading on its own disk, forwards it.
