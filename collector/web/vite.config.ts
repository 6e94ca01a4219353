// How the pages are built. Everything ends in dist/, which the collector embeds in its binary: no file of it
// names another host, and it works from any path because addresses are relative and routes live in the hash.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte()],
  base: './',
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // MapLibre is a chunk of its own, fetched only when a map is opened; it is large and cannot be split.
    chunkSizeWarningLimit: 1300,
    reportCompressedSize: false,
  },
  // `npm run dev` beside a collector (or dev/mock-collector.mjs) that listens here.
  server: { host: '127.0.0.1', proxy: { '/api': process.env.DAVY_COLLECTOR ?? 'http://127.0.0.1:8090' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node', css: true },
});
