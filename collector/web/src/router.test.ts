import { expect, test } from 'vitest';
import { type Route, routeOf, toAlarm, toPoint } from './router';

const check = (hash: string, route: Route) => expect(routeOf(hash)).toEqual(route);

test('no path is the overview', () => {
  check('', { page: 'overview' });
  check('#/', { page: 'overview' });
});
test('a point has a number', () => {
  check(toPoint(12), { page: 'point', id: 12 });
  check('#/points', { page: 'points' });
  check('#/points/twelve', { page: 'nowhere' });
});
test('an alarm keeps its id whatever it is made of', () => {
  check(toAlarm('a/b%2F #?'), { page: 'alarms', id: 'a/b%2F #?' });
  check('#/alarms', { page: 'alarms', id: null });
});
test('set-up begins with the enterprises', () => {
  check('#/setup', { page: 'setup', section: 'enterprises' });
  check('#/setup/webhooks', { page: 'setup', section: 'webhooks' });
  check('#/setup/secrets', { page: 'nowhere' });
});
test('what is not a page is nowhere, not an error', () => {
  check('#/%E0%A4%A', { page: 'nowhere' });
  check('#/map/extra', { page: 'nowhere' });
  check('#/points/1/2', { page: 'nowhere' });
});
