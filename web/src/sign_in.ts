/**
 * Sign-in at the organisation's own issuer: authorization code with PKCE (RFC 7636), renewal by refresh token, sign-out.
 *
 * No hidden frame renews anything: browsers keep other sites' cookies from it, and this page lets no frame show it. Where
 * the issuer gives no refresh token, people sign in again when a token has ended.
 */

import { UserManager, WebStorageStateStore, type User } from "oidc-client-ts";
import type { SignIn } from "./contract";

/** What the page shows when the person comes back. */
interface Left {
  hash: string;
}

export class Session {
  private readonly manager: UserManager;

  constructor(private readonly offer: SignIn) {
    const here = location.origin + location.pathname;
    const resource = offer.resource ?? undefined;
    this.manager = new UserManager({
      authority: offer.issuer,
      metadata: { issuer: offer.issuer, ...endpoints(offer) },
      client_id: offer.client_id,
      scope: offer.scope,
      ...(resource === undefined ? {} : { resource, extraTokenParams: { resource } }),
      redirect_uri: here,
      post_logout_redirect_uri: here,
      automaticSilentRenew: false, // which would open a frame where there is no refresh token
      revokeTokenAdditionalContentTypes: ["text/plain"], // RFC 7009 says nothing of the empty body's type
      // Of this tab, as the access token: see session.ts.
      userStore: new WebStorageStateStore({ store: sessionStorage }),
      stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
  }

  /** To the issuer. The page comes back by itself, to where it was. */
  async leaveFor(): Promise<void> {
    await this.manager.signinRedirect({ state: { hash: location.hash } satisfies Left });
  }

  /** Back from the issuer: the bearer token. Rejects with what the issuer says. The address is the page's own again. */
  async comeBack(): Promise<string> {
    try {
      const user = await this.manager.signinRedirectCallback();
      const { hash } = (user.state ?? { hash: "" }) as Left;
      history.replaceState(null, "", location.pathname + hash);
      return bearer(user);
    } catch (error) {
      history.replaceState(null, "", location.pathname);
      throw error;
    }
  }

  /** Another bearer token, by the refresh token of this tab; null where it has none, or it does not count any more. */
  async renew(): Promise<string | null> {
    const user = await this.manager.getUser();
    if (!user?.refresh_token) return null;
    try {
      const renewed = await this.manager.signinSilent();
      return renewed && bearer(renewed);
    } catch {
      return null;
    }
  }

  /** Renew in time, for as long as the page is open. */
  keep(onRenewed: (token: string) => void): void {
    this.manager.events.addAccessTokenExpiring(() => {
      void this.renew().then((token) => token !== null && onRenewed(token));
    });
    void this.manager.getUser(); // which sets the clock
  }

  /** The person's name, as the issuer tells it. */
  async name(): Promise<string | null> {
    const { name, email, preferred_username } = (await this.manager.getUser())?.profile ?? {};
    return name ?? email ?? preferred_username ?? null;
  }

  /** Without a word to the issuer, which was told by another tab. */
  forget(): Promise<void> {
    return this.manager.removeUser();
  }

  /** Out of the issuer as well, where it has a way out. What does not work is no reason to stay signed in here. */
  async leave(): Promise<void> {
    const user = await this.manager.getUser();
    if (user === null) return;
    if (user.refresh_token && this.offer.revocation_endpoint !== null) {
      await this.manager.revokeTokens(["refresh_token"]).catch(() => undefined);
    }
    try {
      if (this.offer.end_session_endpoint !== null) {
        await this.manager.signoutRedirect();
        await new Promise(() => undefined); // until the browser has left
      }
    } finally {
      await this.manager.removeUser();
    }
  }
}

/** Those that the issuer has. */
function endpoints(offer: SignIn): Record<string, string> {
  const { authorization_endpoint, token_endpoint, revocation_endpoint, end_session_endpoint } = offer;
  const known = { authorization_endpoint, token_endpoint, revocation_endpoint, end_session_endpoint };
  return Object.fromEntries(Object.entries(known).flatMap(([name, url]) => (url === null ? [] : [[name, url]])));
}

/** The access token where it is a JWT, which the API can check; else the ID token (docs/api.md, Signing in). */
function bearer(user: User): string {
  return user.access_token.split(".").length === 3 ? user.access_token : (user.id_token ?? user.access_token);
}
