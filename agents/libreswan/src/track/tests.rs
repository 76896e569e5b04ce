use super::*;
use GatewayEventKind::*;

fn told(lines: &[&str]) -> (Vec<GatewayEventKind>, Tracker) {
    let mut tracker = Tracker::default();
    let events = lines.iter().filter_map(|line| tracker.say(line)).collect();
    (events, tracker)
}

fn name() -> String {
    "net".into()
}

#[test]
fn ikev2_comes_up_is_rekeyed_and_goes() {
    let (events, tracker) = told(&[
        r#""net": added IKEv2 connection"#,
        r#""net" #1: initiating IKEv2 connection"#,
        r#""net" #1: initiator established IKE SA; authenticated peer using authby=secret and ID_FQDN '@b.test'"#,
        r#""net" #2: initiator established Child SA using #1; IPsec tunnel [10.1.0.0-10.1.0.255:0-65535 0] -> [10.2.0.0-10.2.0.255:0-65535 0] {ESP/ESN=>0x69d4751a <0x0a17c7c0 xfrm=AES_CBC_128-HMAC_SHA2_256_128 DPD=passive}"#,
        r#""net" #3: initiating rekey to replace Child SA #2"#,
        r#""net" #3: initiator rekeyed Child SA #2 using #1; IPsec tunnel [10.1.0.0-10.1.0.255:0-65535 0] -> [10.2.0.0-10.2.0.255:0-65535 0] {ESP/ESN=>0xac3b54d9 <0x0eebbade xfrm=3DES_CBC-HMAC_SHA1_96-MODP2048 DPD=passive}"#,
        r#""net" #2: deleting established Child SA using IKE SA #1"#,
        r#""net" #2: ESP traffic information: in=0B out=0B"#,
        r#""net" #5: initiator rekeyed IKE SA #1 {cipher=AES_CBC_128 integ=HMAC_SHA2_256_128 prf=HMAC_SHA2_256 group=MODP2048}"#,
        r#""net" #1: deleting state (STATE_V2_ESTABLISHED_IKE_SA) aged 91.011492s and sending notification"#,
        r#""net" #3: ESP traffic information: in=0B out=0B"#,
        r#""net" #5: deleting state (STATE_V2_ESTABLISHED_IKE_SA) aged 4.003149s and NOT sending notification"#,
    ]);
    assert_eq!(
        events,
        [
            IkeUp { connection: name() },
            ChildUp { connection: name(), child: name(), spi_in: 0x0a17c7c0, spi_out: 0x69d4751a },
            ChildUp { connection: name(), child: name(), spi_in: 0x0eebbade, spi_out: 0xac3b54d9 },
            ChildDown { connection: name(), child: name() },
            IkeDown { connection: name() },
        ]
    );
    let c = tracker.connection("net").unwrap();
    assert!(c.added.is_some() && !c.is_up() && !c.is_trying());
    assert_eq!(c.failures, 0);
}

#[test]
fn ikev1_of_an_instance() {
    let (events, _) = told(&[
        r#""net"[1] 10.9.0.1 #1: IKE SA established {auth=PRESHARED_KEY cipher=AES_CBC_128 integ=HMAC_SHA2_256 group=MODP2048}"#,
        r#""net"[1] 10.9.0.1 #2: sent Quick Mode reply, inbound IPsec SA installed, expecting confirmation tunnel mode {ESP=>0x3588ebb7 <0xb4c12ed2 xfrm=3DES_CBC-HMAC_SHA1_96 DPD=passive}"#,
        r#""net"[1] 10.9.0.1 #2: IPsec SA established tunnel mode {ESPinUDP=>0x3588ebb7 <0xb4c12ed2 xfrm=3DES_CBC-HMAC_SHA1_96 DPD=passive}"#,
        r#""net"[1] 10.9.0.1 #2: deleting state (STATE_QUICK_R2) aged 0.000229s and sending notification"#,
        r#""net"[1] 10.9.0.1 #2: ESP traffic information: in=0B out=0B"#,
        r#""net"[1] 10.9.0.1 #1: deleting state (STATE_MAIN_R3) aged 0.000484s and sending notification"#,
    ]);
    assert_eq!(
        events,
        [
            IkeUp { connection: name() },
            ChildUp { connection: name(), child: name(), spi_in: 0xb4c12ed2, spi_out: 0x3588ebb7 },
            ChildDown { connection: name(), child: name() },
            IkeDown { connection: name() },
        ]
    );
}

#[test]
fn an_attempt_has_failed_when_its_last_try_has() {
    let mut tracker = Tracker::default();
    for line in [
        r#""net" #1: initiating IKEv2 connection"#,
        r#""net" #1: STATE_V2_PARENT_I1: 1.9 second timeout exceeded after 3 retransmits.  No response (or no acceptable response) to our first IKEv2 message"#,
        r#""net" #1: starting keying attempt 2 of at most 2, but releasing whack"#,
        r#""net" #2: initiating IKEv2 connection to replace establishing IKE SA #1"#,
        r#""net" #1: deleting state (STATE_V2_PARENT_I1) aged 2.409089s and NOT sending notification"#,
    ] {
        assert_eq!(tracker.say(line), None);
    }
    let c = tracker.connection("net").unwrap();
    assert!(c.is_trying());
    assert_eq!(c.failures, 0);
    tracker.say(r#""net" #2: deleting state (STATE_V2_PARENT_I1) aged 2.40241s and NOT sending notification"#);
    let c = tracker.connection("net").unwrap();
    assert_eq!(c.failures, 1);
    assert!(c.reason().contains("1.9 second timeout exceeded"));
}

#[test]
fn a_rejected_child_is_a_failure_although_the_ike_sa_is_up() {
    let (events, tracker) = told(&[
        r#""net" #1: initiating IKEv2 connection"#,
        r#""net" #1: initiator established IKE SA; authenticated peer using authby=secret and ID_FQDN '@b.test'"#,
        r#""net" #2: IKE_AUTH response rejected Child SA with TS_UNACCEPTABLE"#,
    ]);
    assert_eq!(events, [IkeUp { connection: name() }]);
    let c = tracker.connection("net").unwrap();
    assert_eq!((c.failures, c.reason().as_str()), (1, "IKE_AUTH response rejected Child SA with TS_UNACCEPTABLE"));
}

#[test]
fn a_closed_ikev1_child_is_down_although_its_successor_is_being_tried() {
    let (events, tracker) = told(&[
        r#""net" #2: IPsec SA established tunnel mode {ESP=>0x9ee47f37 <0x097301cc xfrm=AES_CBC_128-HMAC_SHA2_256_128 DPD=passive}"#,
        r#""net" #1: received Delete SA payload: replace IPsec State #2 now"#,
        r#""net" #3: initiating Quick Mode IKEv1+PSK+ENCRYPT+TUNNEL+UP to replace #2 {using isakmp#1 msgid:b7bc6c37 proposal=AES_CBC_128-HMAC_SHA2_256_128 pfsgroup=no-pfs}"#,
        r#""net" #2: deleting state (STATE_QUICK_I2) aged 0.005318s and sending notification"#,
        r#""net" #2: ESP traffic information: in=59B out=31B"#,
        r#""net" #3: sent Quick Mode request, to replace #2"#,
        r#""net" #3: IPsec SA established tunnel mode {ESP=>0x9ee47f38 <0x097301cd xfrm=AES_CBC_128-HMAC_SHA2_256_128 DPD=passive}"#,
        r#""net" #4: initiating Quick Mode IKEv1+PSK+ENCRYPT+TUNNEL+UP to replace #3 {using isakmp#1 msgid:b7bc6c37 proposal=AES_CBC_128-HMAC_SHA2_256_128 pfsgroup=no-pfs}"#,
        r#""net" #4: IPsec SA established tunnel mode {ESP=>0x9ee47f39 <0x097301ce xfrm=AES_CBC_128-HMAC_SHA2_256_128 DPD=passive}"#,
        r#""net" #3: ESP traffic information: in=59B out=31B"#,
    ]);
    let up = |spi_out, spi_in| ChildUp { connection: name(), child: name(), spi_in, spi_out };
    let down = ChildDown { connection: name(), child: name() };
    assert_eq!(events, [up(0x9ee47f37, 0x097301cc), down, up(0x9ee47f38, 0x097301cd), up(0x9ee47f39, 0x097301ce)]);
    assert!(tracker.connection("net").unwrap().is_up());
}

#[test]
fn anything_may_be_fed() {
    for line in ["", "\"", "\"net\" #: ", "\"net\" #99999999999: initiating", "\"net\" #1: IPsec SA established tunnel mode {ESP=>0x"] {
        told(&[line]);
    }
}
