// Which page, from the part of the address after '#': no server rule is needed and nothing reloads.

export type Route =
  | { page: 'overview' | 'map' | 'points' | 'journal' | 'gateways' | 'account' | 'nowhere' }
  | { page: 'alarms'; id: string | null }
  | { page: 'point'; id: number }
  | { page: 'setup'; section: Section };

export const SECTIONS = ['enterprises', 'points', 'channels', 'gateways', 'webhooks', 'users'] as const;
export type Section = (typeof SECTIONS)[number];

export function routeOf(hash: string): Route {
  const [path = ''] = hash.replace(/^#\/?/, '').split('?');
  const [head = '', tail = '', ...more] = path.split('/').map(decoded);
  if (more.length > 0) return { page: 'nowhere' };
  switch (head) {
    case '':
      return { page: 'overview' };
    case 'map':
    case 'journal':
    case 'gateways':
    case 'account':
      return tail === '' ? { page: head } : { page: 'nowhere' };
    case 'alarms':
      return { page: 'alarms', id: tail === '' ? null : tail };
    case 'points':
      if (tail === '') return { page: 'points' };
      return /^\d{1,15}$/.test(tail) ? { page: 'point', id: Number(tail) } : { page: 'nowhere' };
    case 'setup': {
      const section = SECTIONS.find((known) => known === (tail || 'enterprises'));
      return section ? { page: 'setup', section } : { page: 'nowhere' };
    }
    default:
      return { page: 'nowhere' };
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const toPoint = (id: number) => `#/points/${id}`;
export const toAlarm = (id: string) => `#/alarms/${encodeURIComponent(id)}`;
