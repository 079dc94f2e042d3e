/**
 * The testing kit.
 *
 * @module
 */

export {};
