import { expect, it } from "vitest";
import { TillageError, toProblem } from "./errors";

const thrown = (code: string, path?: string): Error => Object.assign(new Error(`${code}: it failed`), { code, path });

it("what the machine refuses is the environment's, with the path and a remedy", () => {
  expect(toProblem(thrown("ENOSPC", "/w/x"))).toMatchObject({ blame: "environment", code: "disk_full", file: "/w/x", message: "/w/x cannot be written: there is no room left on the disk." });
  for (const code of ["EDQUOT", "EROFS", "EACCES", "EPERM", "EEXIST", "ENOTDIR", "EMFILE", "EIO"]) expect(toProblem(thrown(code))).toMatchObject({ blame: "environment", remedy: expect.stringMatching(/\w/) as string });
});

it("what nobody can mend is a defect; a problem stays what it is", () => {
  expect(toProblem(thrown("ERR_INVALID_ARG_TYPE"))).toMatchObject({ blame: "internal", code: "unexpected" });
  expect(toProblem(thrown("constructor"))).toMatchObject({ blame: "internal" });
  const own = TillageError.user("a", "b", "c");
  expect(toProblem(own)).toBe(own.problem);
});
