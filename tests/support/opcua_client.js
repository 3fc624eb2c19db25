// node-opcua's client: what it reads, hears and is refused, a line of JSON each. Arguments: url, name, password, certificate, key.
const opcua = require("node-opcua-client");

const [url, userName, password, certificateFile, privateKeyFile] = process.argv.slice(2);
const say = (value) => console.log(JSON.stringify(value));
const security = {
  securityMode: opcua.MessageSecurityMode.SignAndEncrypt,
  securityPolicy: opcua.SecurityPolicy.Basic256Sha256,
  applicationUri: "urn:client:test",
  certificateFile,
  privateKeyFile,
};

async function main() {
  const client = opcua.OPCUAClient.create({ ...security, endpointMustExist: false, connectionStrategy: { maxRetry: 1 } });
  await client.connect(url);
  const session = await client.createSession({ type: opcua.UserTokenType.UserName, userName, password });
  const names = await session.readNamespaceArray();
  const own = names.indexOf("urn:blemish:line");
  const standard = names.indexOf("http://opcfoundation.org/UA/MachineVision");
  const machine = ["VisionStateMachine", "AutomaticModeStateMachine"].map((name) => `/${standard}:${name}`).join("");
  const find = async (path) => {
    const found = await session.translateBrowsePath(opcua.makeBrowsePath(`ns=${own};s=gears`, path));
    return found.targets[0].targetId;
  };
  const call = async (name) => {
    const [objectId, methodId] = [await find(machine), await find(`${machine}.${standard}:${name}`)];
    const inputArguments = [{ dataType: "Int32", value: 0 }, { dataType: "String", value: "" }];
    return (await session.call({ objectId, methodId, inputArguments })).statusCode.name;
  };

  say((await session.read({ nodeId: await find(`${machine}.CurrentState`) })).value.value.text);
  const subscription = await session.createSubscription2({ requestedPublishingInterval: 50, publishingEnabled: true });
  const fields = ["PartId", "ResultContent", "InternalRecipeId"].map((name) => `${standard}:${name}`);
  const asked = { nodeId: `ns=${own};s=gears`, attributeId: opcua.AttributeIds.EventNotifier };
  const filter = opcua.constructEventFilter(fields);
  const item = await subscription.monitor(asked, { queueSize: 10, filter }, opcua.TimestampsToReturn.Both);
  const heard = new Promise((resolve) => item.on("changed", resolve));
  say("listening");
  const [part, content, recipe] = (await heard).map((each) => each.value);
  say([part.id, content[0].value, content[1].value, recipe.id, recipe.hash.toString()]);
  for (const name of ["Stop", "Stop"]) say(await call(name));
  await session.close();
  await client.disconnect();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
