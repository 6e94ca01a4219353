//! Pure: limits, silence, faults and over-range become alarms, and the alarms' life (ISA-18.2).
