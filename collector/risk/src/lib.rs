//! Pure: risk points, their assessed level and the live level that open alarms give them.
