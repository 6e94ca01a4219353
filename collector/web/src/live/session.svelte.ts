// Who is signed in, as the collector says. The page only hides what a role may not do; the collector refuses it.

import * as api from '../api/client';
import type { Session } from '../api/types';

type Standing = 'asking' | 'unreachable' | 'out' | 'in';

class Signed {
  standing = $state<Standing>('asking');
  who = $state.raw<Session | null>(null);

  get mayAcknowledge(): boolean {
    return this.who !== null && this.who.role !== 'viewer';
  }
  get isAdministrator(): boolean {
    return this.who?.role === 'administrator';
  }

  async ask(): Promise<void> {
    try {
      this.take(await api.session.now());
    } catch (error) {
      if (error instanceof api.Refusal && (error.status === 401 || error.status === 403)) this.leave();
      else this.standing = 'unreachable';
    }
  }

  take(session: Session): void {
    this.who = session;
    this.standing = 'in';
  }

  leave(): void {
    this.who = null;
    this.standing = 'out';
  }

  async signOut(): Promise<void> {
    try {
      await api.session.signOut();
    } finally {
      this.leave();
    }
  }
}
export const signed = new Signed();
api.whenSignedOut(() => signed.leave());
