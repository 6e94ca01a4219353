// Pure: does the ledger add up?

import type { LedgerRow } from '../api/types';

/** Readings that are neither stored, nor declared as a gap, nor on the way. Negative: more stored than expected. */
export function unexplained(row: LedgerRow): number {
  const declared = Object.values(row.gaps).reduce((sum, count) => sum + count, 0);
  return row.expected - row.stored - declared - row.open;
}
