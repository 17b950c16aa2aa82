// The official client's walk through the stand-in: node walk.mjs MODULES URL KEY SPACE PACKAGE_FILE
// It prints what each step gave as one JSON document.
import { createRequire } from "node:module";
import path from "node:path";

const [modules, url, key, space, file] = process.argv.slice(2);
const require = createRequire(path.join(modules, "package.json"));
const {
    BuildInformationRepository, Client, DeploymentRepository, EnvironmentRepository, OverwriteMode,
    PackageRepository, ReleaseRepository, ServerTaskWaiter, SpaceServerTaskRepository,
} = require("@octopusdeploy/api-client");

const client = await Client.create({ userAgentApp: "walk", instanceURL: url, apiKey: key });
const environments = new EnvironmentRepository(client, space);
const environment = await environments.create({ Name: "Test-1" });

const packages = new PackageRepository(client, space);
await packages.push([file], OverwriteMode.FailIfExists);
const pushed = (await packages.list({ nuGetPackageId: "Acme.Orders" })).Items;
const again = await packages.push([file], OverwriteMode.FailIfExists).catch((error) => error.message);

await new BuildInformationRepository(client, space).push({
    spaceName: space, BuildEnvironment: "Test", BuildNumber: "7", BuildUrl: "https://ci.example/7",
    Branch: "main", VcsType: "Git", VcsRoot: "https://git.example/orders", VcsCommitNumber: "abc",
    Commits: [{ Id: "abc", Comment: "A change" }],
    Packages: [{ Id: "Acme.Orders", Version: "2.0.7" }],
}, OverwriteMode.FailIfExists);

const releases = new ReleaseRepository(client, space);
const wanted = {
    spaceName: space, ProjectName: "Orders", ReleaseVersion: "2.0.7", PackageVersion: "2.0.7",
    ReleaseNotes: "A change", IgnoreIfAlreadyExists: true, IgnoreChannelRules: false,
};
const release = await releases.create(wanted);
const same = await releases.create(wanted);
const stored = await releases.get(release.ReleaseId);

const deployments = new DeploymentRepository(client, space);
const { DeploymentServerTasks } = await deployments.create({
    spaceName: space, ProjectName: "Orders", ReleaseVersion: "2.0.7",
    EnvironmentNames: ["Test-1"], UseGuidedFailure: false, Variables: {},
});
const id = DeploymentServerTasks[0].ServerTaskId;
const task = await new ServerTaskWaiter(client, space).waitForServerTaskToComplete(id, 20, 10000);
const tasks = new SpaceServerTaskRepository(client, space);
const details = await tasks.getDetails(id);
const raw = await tasks.getRaw(id);
await environments.del(environment);
const left = (await environments.list({ take: 100 })).Items;

const told = { environment, pushed, again, release, same, stored, task, details, raw, left };
// The client's idle connections would keep the process.
process.stdout.write(JSON.stringify(told), () => process.exit(0));
